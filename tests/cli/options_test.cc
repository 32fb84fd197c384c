#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    options_.Text("db", "FILE", &db_, "the database");
    options_.Texts("problem", "KEY", &problems_, "a problem");
    options_.Integer("seed", "N", &seed_, 0, 100, "the seed");
    options_.Flag("json", &json_, "print JSON");
    options_.Words("KEY", &words_, 2, "some keys");
  }

  void ExpectUsageError(const std::vector<std::string>& arguments, const std::string& message) {
    const auto parsed = options_.Parse(arguments);
    EXPECT_TRUE(IsUsageError(parsed.status())) << parsed.status();
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(message));
  }

  Options options_{"moetune test [OPTION...]", "Tests."};
  std::string db_ = "default.db";
  std::vector<std::string> problems_;
  int64_t seed_ = 7;
  bool json_ = false;
  std::vector<std::string> words_;
};

TEST_F(OptionsTest, WhatIsNotGivenKeepsItsDefault) {
  EXPECT_TRUE(options_.Parse({}).value());
  EXPECT_EQ(db_, "default.db");
  EXPECT_EQ(seed_, 7);
  EXPECT_FALSE(json_);
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(OptionsTest, WhatIsGivenIsRead) {
  const std::vector<std::string> arguments = {"a", "--db=x.db", "--problem", "p",  "--seed", "100",
                                              "b", "--json",    "--problem", "q r"};
  EXPECT_TRUE(options_.Parse(arguments).value());
  EXPECT_EQ(db_, "x.db");
  EXPECT_EQ(seed_, 100);
  EXPECT_TRUE(json_);
  EXPECT_THAT(problems_, ElementsAre("p", "q r"));
  EXPECT_THAT(words_, ElementsAre("a", "b"));
}

TEST_F(OptionsTest, AnUnknownOptionIsAnsweredWithTheNearest) {
  ExpectUsageError({"--sed", "1"}, "unknown option '--sed'; did you mean '--seed'");
}

TEST_F(OptionsTest, APrefixIsNotAnOption) { ExpectUsageError({"--js"}, "--js"); }

TEST_F(OptionsTest, AnIntegerOutOfItsRangeNamesOptionValueAndRange) {
  ExpectUsageError({"--seed", "101"}, "--seed '101' is not an integer from 0 to 100");
}

TEST_F(OptionsTest, AnIntegerThatIsNoneNamesOptionValueAndRange) {
  ExpectUsageError({"--seed", "many"}, "--seed 'many' is not an integer from 0 to 100");
}

TEST_F(OptionsTest, AnOptionWithoutItsValueIsNamed) { ExpectUsageError({"--db"}, "--db"); }

TEST_F(OptionsTest, AnOptionGivenTwiceIsNamed) {
  ExpectUsageError({"--db", "a", "--db", "b"}, "--db");
}

TEST_F(OptionsTest, TooManyWordsAreAnsweredWithTheUsage) {
  ExpectUsageError({"a", "b", "c"}, "moetune test [OPTION...]");
}

TEST_F(OptionsTest, HelpIsPrintedEvenWhenAValueIsWrong) {
  ::testing::internal::CaptureStdout();
  const auto go_on = options_.Parse(std::vector<std::string>{"--seed", "x", "--help"});
  const std::string help = ::testing::internal::GetCapturedStdout();
  ASSERT_TRUE(go_on.ok()) << go_on.status();
  EXPECT_FALSE(*go_on);
  for (const char* part : {"usage: moetune test [OPTION...]", "Tests.", "--db FILE", "the database",
                           "--seed N", "--help", "KEY: some keys"}) {
    EXPECT_THAT(help, HasSubstr(part));
  }
}

}  // namespace
}  // namespace moetune
