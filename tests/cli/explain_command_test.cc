#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/registry.h"
#include "kernels/source.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kExplainCommand;

namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class ExplainTest : public ::testing::Test {
 protected:
  CliResult Explain(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--db", db_});
    return RunCli(kExplainCommand, std::move(arguments));
  }

  Json ExplainJson() {
    const CliResult result = Explain({key_, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out);
  }

  void Append(std::vector<Record> records) {
    OpenStore(db_, OpenMode::kReadWrite).value()->Append(records).value();
  }

  static Record Trial(int64_t block_m, Effort effort, double time_us) {
    Measurement trial = MeasurementFor(SmallProblem(64));
    trial.config = ReferenceConfig(block_m);
    trial.effort = effort;
    trial.time_us = time_us;
    if (effort == Effort::kFinal) trial.hot_us = time_us - 3;
    return NewRecord(trial);
  }

  static Record Failure(int64_t block_m, Outcome outcome, const std::string& error) {
    Measurement trial = MeasurementFor(SmallProblem(64));
    trial.config = ReferenceConfig(block_m);
    trial.effort = Effort::kProbe;
    trial.outcome = outcome;
    trial.error = error;
    trial.time_us = 0;
    return NewRecord(trial);
  }

  // The winner takes 50 µs with block_m 64, the default 100 µs with 32.
  void AppendSweep() {
    Append({Trial(32, Effort::kProbe, 98), Trial(64, Effort::kProbe, 48),
            Trial(128, Effort::kProbe, 52), Trial(16, Effort::kProbe, 400),
            Failure(256, Outcome::kSpills, "spills 80 bytes"),
            Failure(512, Outcome::kSpills, "spills 96 bytes"),
            Failure(1, Outcome::kFault, "illegal address\nand more"),
            Trial(32, Effort::kFinal, 100), Trial(64, Effort::kFinal, 50),
            Trial(128, Effort::kFinal, 55), NewRecord(WinnerFor(SmallProblem(64)))});
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
  const std::string key_ = ProblemKey(SmallProblem(64));
};

TEST_F(ExplainTest, TheMarginsOverTheDefaultAndTheRunnerUpAreSaid) {
  AppendSweep();
  const CliResult result = Explain({key_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(key_ + "\n"));
  EXPECT_THAT(result.out, HasSubstr("why        beat the default by 50.0 %\n"));
  EXPECT_THAT(result.out, HasSubstr("default    reference " + ReferenceConfig(32).Text() +
                                    ", 100.0 µs; the winner is 2.00x as fast\n"));
  EXPECT_THAT(result.out, HasSubstr("runner-up  reference " + ReferenceConfig(128).Text() +
                                    ", 55.00 µs; the winner is 1.10x as fast\n"));
  EXPECT_THAT(result.out, HasSubstr("stale      the kernel's source has changed"));
}

TEST_F(ExplainTest, FinalistsAreThoseOfTheWinnersSweepTheFastestFirst) {
  Record earlier = Trial(16, Effort::kFinal, 10);
  std::get<Measurement>(earlier.row).sweep = NewUuid();
  Record elsewhere = Trial(16, Effort::kFinal, 10);
  std::get<Measurement>(elsewhere.row).device = Fable75();
  Record other = Trial(16, Effort::kFinal, 10);
  std::get<Measurement>(other.row).problem = SmallProblem(65);
  Append({earlier, elsewhere, other});
  AppendSweep();
  const Json finalists = ExplainJson()[0]["finalists"];
  ASSERT_EQ(finalists.size(), 3u);
  EXPECT_EQ(finalists[0]["time_us"], 50);
  EXPECT_EQ(finalists[0]["winner"], true);
  EXPECT_EQ(finalists[1]["time_us"], 55);
  EXPECT_EQ(finalists[1]["config"]["block_m"], Json({128}));
  EXPECT_NEAR(finalists[1]["of_winner"].get<double>(), 1.1, 1e-9);
  EXPECT_EQ(finalists[2]["default"], true);
  EXPECT_EQ(finalists[2]["time_us_mad"], 0.25);
  EXPECT_EQ(finalists[2]["hot_us"], 97);
  EXPECT_THAT(Explain({key_}).out, HasSubstr("hot µs"));
}

TEST_F(ExplainTest, HowTheCardDidInTheFinalIsSaid) {
  AppendSweep();
  EXPECT_THAT(Explain({key_}).out, HasSubstr("card       512 W, 61 °C\n"));
  Record finalist = Trial(64, Effort::kFinal, 50);
  auto& m = std::get<Measurement>(finalist.row);
  m.sm_clock_mhz = 1754.6;
  m.clocks.throttle = "power_cap";
  m.unsteady_rounds = 2;
  const std::string db = folder_.File("other.db");
  OpenStore(db, OpenMode::kReadWrite)
      .value()
      ->Append({{finalist, NewRecord(WinnerFor(SmallProblem(64)))}})
      .value();
  const CliResult text = RunCli(kExplainCommand, {"--db", db, key_});
  EXPECT_THAT(text.out, HasSubstr("card     SMs at 1755 MHz, 512 W, 61 °C, held down by "
                                  "power_cap, throttling kept changing in 2 rounds\n"));
  const Json json = Json::parse(RunCli(kExplainCommand, {"--db", db, key_, "--json"}).out);
  EXPECT_EQ(json[0]["finalists"][0]["throttle"], "power_cap");
  EXPECT_EQ(json[0]["finalists"][0]["unsteady_rounds"], 2);
}

TEST_F(ExplainTest, FinalistsOfAMixHaveTheirTimeOnEachRouting) {
  const Problem mix = ProblemOf("forward/bf16/plain/e8/t64x2/n1024/k512/softmax+zipf");
  Measurement finalist = MeasurementFor(mix);
  finalist.routing_us = {48, 52.5};
  Append({NewRecord(finalist), NewRecord(WinnerFor(mix))});
  const CliResult text = Explain({ProblemKey(mix)});
  EXPECT_THAT(text.out, HasSubstr("softmax 48.00, zipf 52.50"));
  const Json json = Json::parse(Explain({ProblemKey(mix), "--json"}).out);
  EXPECT_EQ(json[0]["finalists"][0]["routing_us"], Json({48, 52.5}));
  AppendSweep();
  EXPECT_THAT(Explain({key_}).out, Not(HasSubstr("by routing"))) << "where there is one alone";
}

TEST_F(ExplainTest, FailuresAreCountedByClassOncePerConfig) {
  Append({Failure(256, Outcome::kTimeout, "older"), Failure(64, Outcome::kCrash, "passed since")});
  AppendSweep();
  const Json explained = ExplainJson()[0];
  EXPECT_EQ(explained["configs"], 7);
  EXPECT_EQ(explained["trials"], 12);
  EXPECT_EQ(explained["failures"],
            Json({{"spills", {{"configs", 2}, {"newest", "spills 96 bytes"}}},
                  {"fault", {{"configs", 1}, {"newest", "illegal address\nand more"}}}}));
  const CliResult text = Explain({key_});
  EXPECT_THAT(text.out, HasSubstr("tried      7 configs in 12 trials; 3 failed\n"));
  EXPECT_THAT(text.out, HasSubstr("illegal address\n"));
  EXPECT_THAT(text.out, Not(HasSubstr("and more")));
}

TEST_F(ExplainTest, TrialsUnderAnotherDriverDoNotCount) {
  Record trial = Trial(16, Effort::kProbe, 10);
  std::get<Measurement>(trial.row).environment.driver = "500.1";
  Append({trial});
  AppendSweep();
  EXPECT_EQ(ExplainJson()[0]["trials"], 10);
}

TEST_F(ExplainTest, AnEstimatedWinnerIsSetBesideTheNearestEstimatesAndTheDefault) {
  std::vector<Record> records;
  for (int64_t i = 0; i < 20; ++i) {
    records.push_back(Trial(i == 19 ? 32 : 64 + i, Effort::kEstimate, 50 + static_cast<double>(i)));
  }
  Winner winner = WinnerFor(SmallProblem(64));
  winner.estimated = true;
  records.push_back(NewRecord(winner));
  Append(records);
  const Json finalists = ExplainJson()[0]["finalists"];
  ASSERT_EQ(finalists.size(), 9u);
  EXPECT_EQ(finalists[0]["winner"], true);
  EXPECT_EQ(finalists[7]["time_us"], 57);
  EXPECT_EQ(finalists[8]["default"], true);
}

TEST_F(ExplainTest, AWinnerWithoutItsTrialsSaysSo) {
  Winner winner = WinnerFor(SmallProblem(64));
  winner.environment.kernel_fingerprint = FamilyFingerprint(**FindFamily("reference"));
  Append({NewRecord(winner)});
  const CliResult result = Explain({key_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("tried    its trials are not in this database\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("stale")));
  EXPECT_TRUE(ExplainJson()[0]["runner_up"].is_null());
}

TEST_F(ExplainTest, EveryDeviceIsExplainedUnlessOneIsNamed) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(64), Fable75())});
  EXPECT_EQ(ExplainJson().size(), 2u);
  const Json one = Json::parse(Explain({key_, "--device-name", "Fable 75", "--json"}).out);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0]["device"], "Fable 75");
  EXPECT_EQ(Explain({key_, "--device-name", "h200"}).exit_code, 1);
  EXPECT_THAT(Explain({key_, "--device-name", "Fable 57"}).err,
              HasSubstr("did you mean 'Fable 75'"));
}

TEST_F(ExplainTest, AProblemWithoutAWinnerIsAnErrorAndAMissingKeyCostsTwo) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64))});
  const CliResult missing = Explain({ProblemKey(SmallProblem(65))});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("t65x2"));
  EXPECT_EQ(Explain({}).exit_code, 2);
  EXPECT_EQ(Explain({"forward/bf16"}).exit_code, 2);
}

}  // namespace
}  // namespace moetune
