#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"
#include "tuner/service/server.h"

namespace moetune {

extern const Command kListCommand;

namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class ListTest : public ::testing::Test {
 protected:
  CliResult List(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--db", db_});
    return RunCli(kListCommand, std::move(arguments));
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
};

TEST_F(ListTest, EachWinnerIsALineUnderItsHeader) {
  Winner estimated = WinnerFor(SmallProblem(128), Fable75());
  estimated.estimated = true;
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), estimated});
  const std::string config = "block_k=32 block_m=64 block_n=64 threads=128";
  EXPECT_EQ(List({}).out,
            "device       problem                                          family     config      "
            "                                     µs  speed-up  source\n"
            "Fable 75     forward/bf16/plain/e8/t128x2/n1024/k512/softmax  reference  " +
                config + "  50.00     2.00x  estimated\n" +
                "Fiction 100  forward/bf16/plain/e8/t64x2/n1024/k512/softmax   reference  " +
                config + "  50.00     2.00x  measured\n");
}

TEST_F(ListTest, ASupersededRowIsNotListed) {
  Winner better = WinnerFor(SmallProblem(64));
  better.time_us = 40;
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), better});
  const Json list = Json::parse(List({"--json"}).out);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["time_us"], 40);
}

TEST_F(ListTest, JsonCarriesEachRowWhole) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64))});
  const Json list = Json::parse(List({"--json"}).out);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["problem"], ProblemKey(SmallProblem(64)));
  EXPECT_EQ(list[0]["device"], "Fiction 100");
  EXPECT_EQ(list[0]["config"]["block_m"], Json({64}));
  EXPECT_EQ(list[0]["speedup"], 2.0);
  EXPECT_EQ(list[0]["driver"], FictionalEnvironment().driver);
  EXPECT_EQ(list[0]["reason"], WinnerFor(SmallProblem(64)).reason);
}

TEST_F(ListTest, ADeviceNameSelectsAndATypoIsAnswered) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(64), Fable75())});
  EXPECT_EQ(Json::parse(List({"--device-name", "Fable 75", "--json"}).out).size(), 1u);
  EXPECT_EQ(Json::parse(List({"--device-name", "h200", "--json"}).out).size(), 0u);
  const CliResult typo = List({"--device-name", "Fabel 75"});
  EXPECT_EQ(typo.exit_code, 1);
  EXPECT_THAT(typo.err, HasSubstr("did you mean 'Fable 75'"));
}

TEST_F(ListTest, AnEmptyDatabaseSaysSo) {
  MakeDatabase(db_, {});
  EXPECT_EQ(List({}).out, "no winners\n");
  EXPECT_EQ(List({"--json"}).out, "[]\n");
}

TEST_F(ListTest, AServerListsTheSameAsItsDatabase) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(64), Fable75())});
  const auto server =
      Server::Start(OpenStore(db_, OpenMode::kReadOnly).value(), {.listen = "127.0.0.1:0"}).value();
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--json"}, {"--device-name", "Fable 75"}}) {
    std::vector<std::string> arguments = {"--server", server->address()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CliResult from_server = RunCli(kListCommand, arguments);
    EXPECT_EQ(from_server.exit_code, 0) << from_server.err;
    EXPECT_EQ(from_server.out, List(more).out);
  }
}

}  // namespace
}  // namespace moetune
