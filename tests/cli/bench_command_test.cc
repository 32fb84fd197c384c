// bench from the command line, on a fictional GPU in real child processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/run_cli.h"
#include "tests/tuner/fake_workers.h"

namespace moetune {

extern const Command kBenchCommand;

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

Winner WinnerWith(const Candidate& candidate, const Problem& problem = TinyProblem()) {
  Winner winner = WinnerFor(problem);
  winner.family = candidate.family->name;
  winner.config = candidate.config;
  return winner;
}

class BenchTest : public ::testing::Test {
 protected:
  explicit BenchTest(const FakeScript& script = {}) : workers_(script) {}

  CliResult Bench(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--db",   db_, "--cubins", workers_.cubins(),
                                          "--jobs", "2"};
    for (const std::string& word : workers_.command()) {
      arguments.insert(arguments.end(), {"--worker", word});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCli(kBenchCommand, arguments);
  }

  std::string File(const std::string& name, const std::string& text) {
    WriteFile(workers_.folder.File(name), text);
    return workers_.folder.File(name);
  }

  FakeWorkers workers_;
  const std::string db_ = workers_.folder.File("winners.db");
  const std::string key_ = ProblemKey(TinyProblem());
};

TEST_F(BenchTest, TheWinnerIsTimedBesideTheDefault) {
  MakeDatabase(db_, {WinnerWith(kGood)});
  const CliResult result = Bench({"--problem", key_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr(key_), HasSubstr("exact"), HasSubstr("TFLOP/s"),
                                HasSubstr("geometric means")));
  EXPECT_THAT(result.err, HasSubstr("[1/1] " + key_));
}

TEST_F(BenchTest, JsonStandsAloneOnStandardOutput) {
  MakeDatabase(db_, {WinnerWith(kGood)});
  const CliResult result = Bench({"--problem", key_, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json rows = Json::parse(result.out);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["tier"], "exact");
  EXPECT_EQ(rows[0]["config"]["block_m"], Json::array({32}));
  EXPECT_EQ(int{rows[0]["samples"]} % 2, 1) << "the median of an odd number is one of them";
  EXPECT_GT(double{rows[0]["default_time_us"]}, 0);
}

// Its time is the mean over the routings, and so is its floor.
TEST_F(BenchTest, AMixOfRoutingsIsTimedOnEachOfThem) {
  const std::string shape = "forward/bf16/plain/e4/t12x2/n40/k24/";
  const auto floor_of = [&](const std::string& routing) {
    const CliResult result = Bench({"--problem", shape + routing, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return double{Json::parse(result.out)[0]["floor_us"]};
  };
  MakeDatabase(db_, {WinnerWith(kGood)});
  EXPECT_NEAR(floor_of("softmax+zipf"), std::sqrt(floor_of("softmax") * floor_of("zipf")), 1e-9);
}

// Not what a routing may be expected to touch, but what this one does.
TEST_F(BenchTest, CapturedRowCountsAreTimedAndMakeTheFloor) {
  MakeDatabase(db_, {WinnerWith(kGood, ProblemOf("forward/bf16/gather/e4/t12x2/n40/k24/softmax"))});
  const std::string config = File("config.json", R"({"num_experts": 4, "num_experts_per_tok": 2,
      "hidden_size": 24, "intermediate_size": 20})");
  const std::string counts = File("counts.json", "{\"" + config + R"(": {"12": [0, 24, 0, 0]}})");
  const CliResult result =
      Bench({"--hf-config", config, "--tokens", "12", "--routing-counts", counts, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json rows = Json::parse(result.out);
  ASSERT_EQ(rows.size(), 2u) << "gate_up and down";
  for (const Json& row : rows) {
    EXPECT_THAT(std::string(row["problem"]), HasSubstr("/counts-"));
    EXPECT_EQ(row["touched_experts"], 1);
  }
  EXPECT_EQ(rows[0]["tier"], "exact") << "the winner of the routing that was tuned";
  EXPECT_EQ(rows[0]["config"]["block_m"], Json::array({32}));
  DeviceSpec device = Fiction100();
  FillRates(device);
  EXPECT_DOUBLE_EQ(double{rows[0]["floor_us"]},
                   (40 * 24 + 12 * 24 + 24 * 40) * 2 / (device.copy_gbps * 1e3));
}

TEST_F(BenchTest, AProblemWithoutAWinnerTimesTheDefaultAndSaysSo) {
  MakeDatabase(db_, {WinnerWith(kGood, ProblemOf("forward/fp16/plain/e4/t12x2/n40/k24"))});
  const CliResult result = Bench({"--problem", key_, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json row = Json::parse(result.out)[0];
  EXPECT_EQ(row["tier"], "default");
  EXPECT_EQ(row["config"], row["default_config"]);
  EXPECT_EQ(row["time_us"], row["default_time_us"]);
  EXPECT_THAT(result.err, HasSubstr("there is no winner, this is the default"));
}

TEST_F(BenchTest, AResultFileNamesCommandAndFingerprints) {
  MakeDatabase(db_, {WinnerWith(kGood)});
  const std::string out = workers_.folder.File("out.json");
  ASSERT_EQ(Bench({"--problem", key_, "--out", out, "--title", "a card's own"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(out + ".part"));
  const Json result = Json::parse(ReadFile(out));
  EXPECT_EQ(result["title"], "a card's own");
  EXPECT_THAT(std::string(result["command"]), HasSubstr("moetune bench --db "));
  EXPECT_THAT(std::string(result["command"]), HasSubstr("--title 'a card'\\''s own'"))
      << "as a shell reads it";
  EXPECT_EQ(std::string(result["rows"][0]["fingerprint"]).size(), 64u);
}

// Who has a faster family still wants to know what another one reaches.
TEST_F(BenchTest, OfAFamilyTheFastestMeasuredIsTimed) {
  MakeDatabase(db_, {WinnerWith(kGood)});
  std::vector<Record> records;
  for (const auto& [candidate, effort, time_us] :
       {std::tuple(kGood, Effort::kProbe, 5.0), std::tuple(kGood, Effort::kFinal, 20.0),
        std::tuple(kOther, Effort::kFinal, 10.0), std::tuple(kBad, Effort::kProbe, 7.0)}) {
    Measurement m = MeasurementFor(TinyProblem());
    m.environment.kernel_fingerprint = FamilyFingerprint(*candidate.family);
    m.family = candidate.family->name;
    m.config = candidate.config;
    m.effort = effort;
    m.time_us = time_us;
    records.push_back(NewRecord(m));
  }
  Measurement estimate = std::get<Measurement>(records.front().row);
  estimate.problem = TinyProblem(14);
  estimate.effort = Effort::kEstimate;
  records.push_back(NewRecord(estimate));
  OpenStore(db_, OpenMode::kReadWrite).value()->Append(records).value();
  const CliResult result = Bench({"--problem", key_, "--family", "reference", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json row = Json::parse(result.out)[0];
  EXPECT_EQ(row["tier"], "exact");
  EXPECT_EQ(row["config"]["block_m"], Json::array({64})) << "finals tell more than probes";

  const CliResult unknown =
      Bench({"--problem", ProblemKey(TinyProblem(13)), "--family", "sm80_mma", "--json"});
  ASSERT_EQ(unknown.exit_code, 0) << unknown.err;
  EXPECT_EQ(Json::parse(unknown.out)[0]["family"], "sm80_mma");
  EXPECT_EQ(Json::parse(unknown.out)[0]["tier"], "default");

  const CliResult estimated =
      Bench({"--problem", ProblemKey(TinyProblem(14)), "--family", "reference", "--json"});
  ASSERT_EQ(estimated.exit_code, 0) << estimated.err;
  EXPECT_EQ(Json::parse(estimated.out)[0]["tier"], "default") << "an estimate is no measurement";
}

class WrongWinnerTest : public BenchTest {
 protected:
  WrongWinnerTest() : BenchTest(BadIs(FakeFaultKind::kWrongOutput)) {}
};

TEST_F(WrongWinnerTest, IsNotTimedAndFailsTheRun) {
  MakeDatabase(db_, {WinnerWith(kBad)});
  const CliResult result = Bench({"--problem", key_, "--json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(Json::parse(result.out)[0]["outcome"], "wrong_result");
  EXPECT_TRUE(Json::parse(result.out)[0]["time_us"].is_null());
  EXPECT_THAT(result.err, HasSubstr("wrong_result: "));
}

struct BadUse {
  std::vector<std::string> arguments;
  std::string error;
};

TEST_F(BenchTest, WhatCannotBeTimedIsAUsageError) {
  MakeDatabase(db_, {WinnerWith(kGood)});
  const std::string header =
      "model,tokens,routing,op,gemm,fusion,floor_us,best_peer,best_us,torch\n";
  const BadUse cases[] = {
      {{}, "--model, --hf-config or --problem"},
      {{"--model", "qwen3-30b-a3"}, "did you mean 'qwen3-30b-a3b'"},
      {{"--problem", key_, "--family", "sm80_mna"}, "did you mean 'sm80_mma'"},
      {{"--problem", key_, "--peers", File("a.csv", "a,b\n1,2\n")}, "a.csv': line 1: the columns"},
      {{"--problem", key_, "--peers", File("b.csv", header + "x,1\n")}, "b.csv': line 2: 2 cells"},
      {{"--problem", key_, "--peers", "/no/such/csv"}, "cannot read '/no/such/csv'"},
      {{"--problem", key_, "--baseline", File("c", "torch\n")}, "c': line 1: is no JSON object"},
  };
  for (const BadUse& use : cases) {
    const CliResult result = Bench(use.arguments);
    EXPECT_EQ(result.exit_code, 2) << use.error;
    EXPECT_THAT(result.err, HasSubstr(use.error));
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(BenchTest, ADatabaseThatIsNotThereIsNamed) {
  const CliResult result = Bench({"--problem", key_});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("winners.db"));
}

}  // namespace
}  // namespace moetune
