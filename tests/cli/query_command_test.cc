#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "kernels/registry.h"
#include "kernels/source.h"
#include "runtime/driver.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/program.h"
#include "tests/testing/temp_folder.h"
#include "tuner/service/server.h"

namespace moetune {

extern const Command kQueryCommand;

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

const std::string& Key() {
  static const std::string key = ProblemKey(SmallProblem(64));
  return key;
}

// Of the kernel as it is today.
Winner FreshWinner(const Problem& problem, const DeviceSpec& device = Fiction100()) {
  Winner winner = WinnerFor(problem, device);
  winner.environment.kernel_fingerprint = FamilyFingerprint(**FindFamily(winner.family));
  return winner;
}

class QueryTest : public ::testing::Test {
 protected:
  CliResult Query(std::vector<std::string> arguments) { return RunCli(kQueryCommand, arguments); }

  CliResult QueryDatabase(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--db", db_});
    return Query(std::move(arguments));
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
};

TEST_F(QueryTest, JsonHasExactlyTheFieldsOfTheContract) {
  MakeDatabase(db_, {FreshWinner(SmallProblem(64))});
  const CliResult result =
      QueryDatabase({"--problem", Key(), "--device-name", "Fiction 100", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  Json answer = Json::parse(result.out);
  EXPECT_THAT(answer["snapshot_token"].get<std::string>(), ::testing::EndsWith(":1"));
  answer.erase("snapshot_token");
  EXPECT_EQ(answer.dump(),
            Json({{"problem", Key()},
                  {"matched_problem", Key()},
                  {"tier", "exact"},
                  {"family", "reference"},
                  {"config",
                   {{"block_k", {32}}, {"block_m", {64}}, {"block_n", {64}}, {"threads", {128}}}},
                  {"source", "measured"},
                  {"time_us", 50.0},
                  {"default_time_us", 100.0},
                  {"speedup", 2.0},
                  {"distance", 0.0},
                  {"stale", Json::array()},
                  {"routing", "softmax"},
                  {"device", "Fiction 100"},
                  {"cubin_sha256", WinnerFor(SmallProblem(64)).cubin_sha256},
                  {"measured_at", "2027-01-15T08:00:00Z"}})
                .dump());
}

TEST_F(QueryTest, TimesOfTheDefaultAreNull) {
  MakeDatabase(db_, {});
  const CliResult result = QueryDatabase({"--problem", Key(), "--device-name", "h200", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json answer = Json::parse(result.out);
  EXPECT_EQ(answer["tier"], "default");
  EXPECT_EQ(answer["device"], "NVIDIA H200");
  for (const char* field :
       {"time_us", "default_time_us", "speedup", "measured_at", "cubin_sha256"}) {
    EXPECT_TRUE(answer[field].is_null()) << field;
  }
}

TEST_F(QueryTest, TextSaysTierConfigAndTime) {
  MakeDatabase(db_, {FreshWinner(SmallProblem(64))});
  const CliResult result =
      QueryDatabase({"--problem", ProblemKey(SmallProblem(48)), "--device-name", "Fiction 100"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("tier     bucket\n"));
  EXPECT_THAT(result.out, HasSubstr("matched  " + Key() + ", at distance 0."));
  EXPECT_THAT(result.out, HasSubstr("config   block_k=32 block_m=64 block_n=64 threads=128\n"));
  EXPECT_THAT(result.out, HasSubstr("50.00 µs, 2.00x over the default's 100.0 µs, measured"));
}

TEST_F(QueryTest, AKernelThatHasChangedIsStale) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64))});
  const CliResult result = QueryDatabase({"--problem", Key(), "--device-name", "Fiction 100"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("stale    the kernel's source has changed"));
}

TEST_F(QueryTest, WithoutADeviceNameOrGpuALoneDeviceIsTakenAndSeveralAreListed) {
  if (OpenDriver().ok()) GTEST_SKIP() << "this machine's GPU is taken";
  MakeDatabase(db_, {FreshWinner(SmallProblem(64))});
  const CliResult lone = QueryDatabase({"--problem", Key(), "--json"});
  ASSERT_EQ(lone.exit_code, 0) << lone.err;
  EXPECT_EQ(Json::parse(lone.out)["device"], "Fiction 100");

  MakeDatabase(db_, {FreshWinner(SmallProblem(64), Fable75())});
  const CliResult several = QueryDatabase({"--problem", Key()});
  EXPECT_EQ(several.exit_code, 1);
  EXPECT_THAT(several.err, HasSubstr("Fable 75, Fiction 100"));
}

TEST_F(QueryTest, WithoutADeviceNameDevicesOfOtherShapesCountToo) {
  if (OpenDriver().ok()) GTEST_SKIP() << "this machine's GPU is taken";
  Problem other = SmallProblem(64);
  other.shape.n = 4096;
  MakeDatabase(db_, {FreshWinner(SmallProblem(64)), FreshWinner(other, Fable75())});
  const CliResult result = QueryDatabase({"--problem", Key()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("Fable 75, Fiction 100"));
}

TEST_F(QueryTest, ADatabaseAndAServerOfItGiveTheSameAnswer) {
  Problem wide = SmallProblem(64);
  wide.shape.n = 4096;
  MakeDatabase(db_, {FreshWinner(SmallProblem(64)), WinnerFor(SmallProblem(256), Fable75()),
                     FreshWinner(wide)});
  Problem between = SmallProblem(100);
  between.shape.n = 3000;
  const auto server =
      Server::Start(OpenStore(db_, OpenMode::kReadOnly).value(), {.listen = "127.0.0.1:0"}).value();
  for (const Problem& problem :
       {SmallProblem(64), SmallProblem(48), SmallProblem(256), wide, between}) {
    for (const char* device : {"Fiction 100", "Fable 75", "h200", "a100"}) {
      const std::vector<std::string> question = {"--problem", ProblemKey(problem), "--device-name",
                                                 device, "--json"};
      std::vector<std::string> to_server = question;
      to_server.insert(to_server.begin(), {"--server", server->address()});
      const CliResult from_server = Query(to_server);
      const CliResult from_database = QueryDatabase(question);
      EXPECT_EQ(from_server.exit_code, 0) << from_server.err;
      EXPECT_EQ(from_server.out, from_database.out) << device;
    }
  }
}

TEST_F(QueryTest, AnUnreachableServerIsOneLineWithItsAddress) {
  const CliResult result =
      Query({"--server", "127.0.0.1:1", "--problem", Key(), "--device-name", "h200"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, ::testing::MatchesRegex("moetune: [^\n]*127.0.0.1:1[^\n]*\n"));
  EXPECT_EQ(result.out, "");
}

TEST_F(QueryTest, WhatIsWrongOnTheCommandLineCostsTwo) {
  MakeDatabase(db_, {});
  EXPECT_EQ(QueryDatabase({}).exit_code, 2);
  EXPECT_EQ(QueryDatabase({"--problem", "forward/bf16"}).exit_code, 2);
  EXPECT_EQ(QueryDatabase({"--problem", Key(), "--server", "localhost:1"}).exit_code, 2);
  EXPECT_EQ(QueryDatabase({"--problem", Key(), "--devise-name", "h200"}).exit_code, 2);
  const CliResult typo = QueryDatabase({"--problem", Key(), "--device-name", "h2000"});
  EXPECT_EQ(typo.exit_code, 1);
  EXPECT_THAT(typo.err, HasSubstr("did you mean 'h200'"));
}

TEST_F(QueryTest, AMissingDatabaseIsNamed) {
  const CliResult result = QueryDatabase({"--problem", Key(), "--device-name", "h200"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(db_));
}

TEST_F(QueryTest, HelpDescribesItsOptions) {
  const CliResult result = Query({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* option : {"--db FILE", "--server HOST:PORT", "--problem KEY", "--top-k TOPK",
                             "--device-name NAME", "--json"}) {
    EXPECT_THAT(result.out, HasSubstr(option));
  }
}

// The three ways to ask, each as a program of its own: they must print the same JSON.
TEST_F(QueryTest, AClientWithoutGeneratedCodeGetsTheSameAnswer) {
  Winner zipf = FreshWinner(ProblemOf("forward/bf16/gather/e8/t64x2/n1024/k512/softmax+zipf"));
  zipf.config.Set("stages", Config::Values{4, 2});
  Winner estimated = FreshWinner(SmallProblem(1024), FindKnownDevice("a100").value());
  estimated.estimated = true;
  MakeDatabase(db_, {FreshWinner(SmallProblem(64)), zipf, estimated});
  Program server({MOETUNE_PROGRAM, "serve", "--db", db_, "--listen", "127.0.0.1:0"});
  const std::string address = server.WaitForAddress();
  ASSERT_NE(address, "") << server.err();

  const std::vector<std::pair<std::string, std::string>> questions = {
      {Key(), "Fiction 100"},                         // exact
      {ProblemKey(SmallProblem(48)), "Fiction 100"},  // bucket
      {ProblemKey(SmallProblem(48)), "h200"},         // sibling
      {ProblemKey(SmallProblem(1024)), "a100"},       // estimated
      {ProblemKey(SmallProblem(64)), "t4"},           // default
      {ProblemKey(zipf.problem), "Fiction 100"},
  };
  for (const auto& [key, device] : questions) {
    Program by_database({MOETUNE_PROGRAM, "query", "--db", db_, "--problem", key, "--device-name",
                         device, "--json"});
    Program by_server({MOETUNE_PROGRAM, "query", "--server", address, "--problem", key,
                       "--device-name", device, "--json"});
    Program by_reflection({MOETUNE_REFLECTION_CLIENT, address, key, device});
    ASSERT_EQ(by_database.Wait(), 0) << by_database.err();
    ASSERT_EQ(by_server.Wait(), 0) << by_server.err();
    ASSERT_EQ(by_reflection.Wait(), 0) << by_reflection.err();
    EXPECT_EQ(by_server.out(), by_database.out());
    EXPECT_EQ(nlohmann::json::parse(by_reflection.out()), nlohmann::json::parse(by_server.out()));
  }
}

}  // namespace
}  // namespace moetune
