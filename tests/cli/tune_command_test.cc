// tune from the command line to the database, on a fictional GPU in real child processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/run_cli.h"
#include "tests/tuner/fake_workers.h"

namespace moetune {

extern const Command kCompileCommand;
extern const Command kListCommand;
extern const Command kQueryCommand;
extern const Command kTuneCommand;

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

class TuneTest : public ::testing::Test {
 protected:
  CliResult Tune(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--db",   db_, "--cubins", workers_.cubins(),
                                          "--jobs", "2"};
    for (const std::string& word : workers_.command()) {
      arguments.insert(arguments.end(), {"--worker", word});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCli(kTuneCommand, arguments);
  }

  ScanResult Log() { return OpenStore(db_, OpenMode::kReadOnly).value()->Scan(0).value(); }

  FakeWorkers workers_;
  const std::string db_ = workers_.folder.File("tuned.db");
  const std::string key_ = ProblemKey(TinyProblem());
};

TEST_F(TuneTest, AProblemIsTunedOnTheGpuKeptAndAnswered) {
  const CliResult tuned = Tune({"--problem", key_, "--budget", "3"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.out,
              AllOf(HasSubstr("[1/1] " + key_), HasSubstr("of roof"), HasSubstr("% measuring"),
                    HasSubstr("% waiting for compiles"), HasSubstr("% search and store")));
  const CliResult answer = RunCli(kQueryCommand, {"--db", db_, "--problem", key_, "--device-name",
                                                  std::string(Fiction100().name), "--json"});
  EXPECT_EQ(Json::parse(answer.out)["tier"], "exact") << answer.err;
  EXPECT_EQ(Json::parse(answer.out)["source"], "measured");
}

TEST_F(TuneTest, TheExpectedCostIsSaidBeforeItBegins) {
  const CliResult first = Tune({"--problem", key_, "--budget", "3"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, AllOf(HasSubstr("1 problem, "), HasSubstr("; about 3 trials\nabout "),
                               HasSubstr("(assumed)")));
  EXPECT_LT(first.out.find("about 3 trials"), first.out.find("[1/1]"));
  const CliResult again = Tune({"--problem", key_, "--budget", "3"});
  EXPECT_THAT(again.out, HasSubstr(", 3 of them known; about 0 trials\n"));
}

TEST_F(TuneTest, ASecondRunMeasuresNothingAgain) {
  ASSERT_EQ(Tune({"--problem", key_, "--budget", "3"}).exit_code, 0);
  const size_t before = Log().records.size();
  const CliResult again = Tune({"--problem", key_, "--budget", "3"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("(kept)"));
  for (const Record& record : Log().records) {
    if (record.sequence > static_cast<int64_t>(before)) {
      EXPECT_TRUE(std::holds_alternative<Sweep>(record.row));
    }
  }
}

TEST_F(TuneTest, JsonStandsAloneOnStandardOutput) {
  const CliResult tuned = Tune({"--problem", key_, "--budget", "2", "--json"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  const Json winners = Json::parse(tuned.out);
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0]["problem"], key_);
  EXPECT_THAT(tuned.err, HasSubstr("[1/1]"));
}

TEST_F(TuneTest, AnEstimateIsMarkedAsOne) {
  const CliResult tuned =
      Tune({"--problem", key_, "--device", "estimate:h200", "--budget", "2", "--json"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_EQ(Json::parse(tuned.out)[0]["source"], "estimated");
  EXPECT_EQ(Json::parse(tuned.out)[0]["device"], "NVIDIA H200");
}

TEST_F(TuneTest, ASpecFileSaysTheSameAsOptions) {
  std::ofstream(workers_.folder.File("spec")) << "problems: '" << key_ << "'\n";
  const CliResult tuned = Tune({"--spec", workers_.folder.File("spec"), "--budget", "1"});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.out, HasSubstr("[1/1] " + key_));
}

// The keys of `tuned`, which was run with --json.
std::vector<std::string> TunedKeys(const CliResult& tuned) {
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  std::vector<std::string> keys;
  for (const Json& winner : Json::parse(tuned.out)) keys.push_back(winner["problem"]);
  return keys;
}

TEST_F(TuneTest, ShardsTakeEveryNthProblemAndAllOfThemTogether) {
  const std::vector<int64_t> tokens = {1, 2, 3, 4, 5};
  std::vector<std::string> keys, all = {"--device", "estimate:h200", "--budget", "1", "--json"};
  for (int64_t t : tokens) {
    keys.push_back(ProblemKey(TinyProblem(t)));
    all.insert(all.end(), {"--problem", keys.back()});
  }
  const auto shard = [&](const std::string& name) {
    std::vector<std::string> arguments = all;
    arguments.insert(arguments.end(), {"--shard", name});
    return TunedKeys(Tune(arguments));
  };
  EXPECT_THAT(shard("1/2"), ElementsAre(keys[0], keys[2], keys[4]));
  EXPECT_THAT(shard("2/2"), ElementsAre(keys[1], keys[3]));
  EXPECT_EQ(shard("1/1"), keys);
  EXPECT_THAT(shard("6/6"), IsEmpty()) << "an array may have more jobs than there are problems";
}

TEST(TuneOnSeveral, DevicesOfOneKindShareOneSweep) {
  const FakeWorkers workers({.devices = {Fiction100(), Fiction100()}});
  const std::string db = workers.folder.File("tuned.db");
  std::vector<std::string> arguments = {
      "--db", db, "--cubins", workers.cubins(), "--device", "0,1", "--budget", "2", "--jobs", "2"};
  for (const std::string& word : workers.command()) {
    arguments.insert(arguments.end(), {"--worker", word});
  }
  for (int64_t tokens : {8, 12, 16, 20}) {
    arguments.insert(arguments.end(), {"--problem", ProblemKey(TinyProblem(tokens))});
  }
  const CliResult tuned = RunCli(kTuneCommand, arguments);
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  for (const char* place : {"[1/4]", "[2/4]", "[3/4]", "[4/4]"}) {
    EXPECT_THAT(tuned.out, HasSubstr(place));
  }
  const Json winners = Json::parse(RunCli(kListCommand, {"--db", db, "--json"}).out);
  EXPECT_EQ(winners.size(), 4u);
}

TEST_F(TuneTest, AMixOfRoutingsIsOneProblemAndAnswersForEachOfThem) {
  const std::string shape = "forward/bf16/gather/e4/t12x2/n40/k24/";
  const CliResult tuned = Tune({"--problem", shape + "softmax+zipf", "--budget", "3"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.out, HasSubstr("[1/1]"));
  const CliResult answer =
      RunCli(kQueryCommand, {"--db", db_, "--problem", shape + "zipf", "--device-name",
                             std::string(Fiction100().name), "--json"});
  EXPECT_EQ(Json::parse(answer.out)["tier"], "exact") << answer.err;
  EXPECT_EQ(Json::parse(answer.out)["routing"], "softmax+zipf");
  for (const Record& record : Log().records) {
    const auto* m = std::get_if<Measurement>(&record.row);
    if (m == nullptr || m->effort != Effort::kFinal) continue;
    EXPECT_EQ(m->samples, 2 * 25) << "all rounds on both routings";
  }
}

TEST_F(TuneTest, SeveralDevicesAreOfOneKind) {
  const CliResult unlike = Tune({"--problem", key_, "--device", "0,1"});
  EXPECT_THAT(unlike.err, AllOf(HasSubstr("Fiction 100"), HasSubstr("Fiction 200"),
                                HasSubstr("devices of one kind")));
  EXPECT_FALSE(OpenStore(db_, OpenMode::kReadOnly).ok()) << "nothing was begun";
}

struct BadUse {
  std::vector<std::string> arguments;
  std::string error;
};

TEST_F(TuneTest, WhatCannotBeTunedIsAUsageErrorBeforeAnythingIsWritten) {
  const BadUse cases[] = {
      {{}, "--model, --hf-config or --problem"},
      {{"--model", "qwen3-30b-a3"}, "did you mean 'qwen3-30b-a3b'"},
      {{"--problem", key_, "--spec", "x"}, "--spec"},
      {{"--problem", "forward/bf16"}, "expected OP/DTYPE"},
      {{"--model", "mixtral-8x7b", "--ops", "backward"}, "unknown op 'backward'"},
      {{"--model", "mixtral-8x7b", "--tokens", "16,0"}, "tokens '0'"},
      {{"--model", "mixtral-8x7b", "--fusions", "gathr"}, "did you mean 'gather'"},
      {{"--model", "mixtral-8x7b", "--routing", "soft"}, "unknown routing 'soft'"},
      {{"--problem", key_, "--strategy", "magic"}, "unknown strategy 'magic'"},
      {{"--problem", key_, "--families", "reference,sm80_mna"}, "did you mean 'sm80_mma'"},
      {{"--problem", key_, "--time-limit", "soon"}, "'soon' is no duration"},
      {{"--problem", key_, "--time-limit", "0"}, "'0' is no duration above zero"},
      {{"--problem", key_, "--time-limit=-5s"}, "'-5s' is no duration above zero"},
      {{"--problem", key_, "--tokens", "16"}, "--tokens and --routing-counts are of models"},
      {{"--problem", key_, "--device", "estimate:h2000"}, "did you mean 'h200'"},
      {{"--problem", key_, "--guard-band", "much"}, "'much' is no percentage from 0 to 50"},
      {{"--problem", key_, "--guard-band", "51"}, "'51' is no percentage from 0 to 50"},
      {{"--problem", key_, "--budget", "-1"}, "budget"},
      {{"--problem", key_, "--device", "0,0"}, "names 0 twice"},
      {{"--problem", key_, "--device", "0,"}, "--device ''"},
      {{"--problem", key_, "--shard", "2"}, "'2' is not of the form I/N"},
      {{"--problem", key_, "--shard", "0/2"}, "--shard I/N: I '0'"},
      {{"--problem", key_, "--shard", "3/2"}, "--shard I/N: I '3'"},
      {{"--problem", key_, "--shard", "1/0"}, "--shard I/N: N '0'"},
      {{"--problem", key_, "--shard", "1/2/3"}, "--shard I/N: N '2/3'"},
  };
  for (const BadUse& use : cases) {
    const CliResult result = Tune(use.arguments);
    EXPECT_EQ(result.exit_code, 2) << use.error;
    EXPECT_THAT(result.err, HasSubstr(use.error));
    EXPECT_FALSE(OpenStore(db_, OpenMode::kReadOnly).ok()) << use.error;
  }
}

TEST_F(TuneTest, AFileThatCannotBeReadIsNamed) {
  EXPECT_THAT(Tune({"--spec", "/no/such/spec"}).err, HasSubstr("/no/such/spec"));
  EXPECT_THAT(Tune({"--hf-config", "/no/such/config"}).err, HasSubstr("/no/such/config"));
}

TEST(CompileCommand, AnUnknownArchitectureAndFamilyAreUsageErrors) {
  EXPECT_EQ(RunCli(kCompileCommand, {}).exit_code, 2);
  EXPECT_THAT(RunCli(kCompileCommand, {"--arch", "h20"}).err, HasSubstr("did you mean 'h200'"));
  EXPECT_THAT(RunCli(kCompileCommand, {"--arch", "h200", "--family", "referense"}).err,
              HasSubstr("did you mean 'reference'"));
}

}  // namespace
}  // namespace moetune
