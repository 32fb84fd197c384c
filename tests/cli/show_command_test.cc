#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kShowCommand;

namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class ShowTest : public ::testing::Test {
 protected:
  CliResult Show(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--db", db_});
    return RunCli(kShowCommand, std::move(arguments));
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
  const std::string key_ = ProblemKey(SmallProblem(64));
};

TEST_F(ShowTest, TheStandingRowComesInFullAndItsHistoryBelow) {
  Winner newer = WinnerFor(SmallProblem(64));
  newer.time_us = 40;
  newer.reason = "beat the default by 60.0 %";
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(128)), newer});
  const CliResult result = Show({key_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("reason    beat the default by 60.0 %\n"));
  EXPECT_THAT(result.out, HasSubstr("time      40.00 µs (49.00 to 51.00), measured\n"));
  EXPECT_THAT(result.out, HasSubstr("driver    600.10\n"));
  const size_t history = result.out.find("history, newest first\n");
  ASSERT_NE(history, std::string::npos);
  const std::string rows = result.out.substr(history);
  EXPECT_LT(rows.find("40.00"), rows.find("50.00"));
  EXPECT_THAT(result.out, Not(HasSubstr("t128x2")));
}

TEST_F(ShowTest, JsonHasTheStandingRowsAndTheHistoryWithSequenceNumbers) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(64)),
                     WinnerFor(SmallProblem(64), Fable75())});
  const Json shown = Json::parse(Show({key_, "--json"}).out);
  EXPECT_EQ(shown["problem"], key_);
  EXPECT_EQ(shown["winners"].size(), 2u);
  ASSERT_EQ(shown["history"].size(), 3u);
  EXPECT_EQ(shown["history"][0]["sequence"], 3);
  EXPECT_EQ(shown["history"][0]["device"], "Fable 75");
  EXPECT_EQ(shown["history"][2]["sequence"], 1);
}

TEST_F(ShowTest, AProblemWithoutAWinnerIsAnErrorThatNamesQuery) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64))});
  const CliResult result = Show({ProblemKey(SmallProblem(65))});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("t65x2"));
  EXPECT_THAT(result.err, HasSubstr("moetune query"));
}

TEST_F(ShowTest, AMissingOrMalformedKeyCostsTwo) {
  MakeDatabase(db_, {});
  EXPECT_EQ(Show({}).exit_code, 2);
  EXPECT_EQ(Show({"forward/bf16"}).exit_code, 2);
  EXPECT_EQ(Show({key_, key_}).exit_code, 2);
}

}  // namespace
}  // namespace moetune
