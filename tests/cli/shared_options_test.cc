#include "cli/shared_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>

#include "cli/command.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

constexpr char kKey[] = "forward/bf16/scatter+scale/e128/t1024x8/n2048/k768/softmax+zipf";

absl::StatusOr<Problem> ParsedProblem(const std::vector<std::string>& arguments) {
  Options options("moetune test", "Tests.");
  ProblemOptions problem;
  AddProblemOptions(options, &problem);
  if (auto parsed = options.Parse(arguments); !parsed.ok()) return parsed.status();
  return ToProblem(problem);
}

TEST(ProblemOptions, AKeyAndItsPartsAreTheSameProblem) {
  const auto by_key = ParsedProblem({"--problem", kKey});
  const auto by_parts =
      ParsedProblem({"--op", "forward", "--dtype", "bf16", "--fusions", "scatter+scale",
                     "--experts", "128", "--top-k", "8", "--n", "2048", "--k", "768", "--tokens",
                     "1024", "--routing", "softmax+zipf"});
  ASSERT_TRUE(by_key.ok()) << by_key.status();
  ASSERT_TRUE(by_parts.ok()) << by_parts.status();
  EXPECT_EQ(*by_key, *by_parts);
}

TEST(ProblemOptions, PartsHaveTheUsualDefaults) {
  const auto problem = ParsedProblem(
      {"--experts", "8", "--top-k", "2", "--n", "1024", "--k", "512", "--tokens", "64"});
  EXPECT_EQ(problem.value(), SmallProblem(64));
}

TEST(ProblemOptions, RowsAreOneRanksShare) {
  const auto problem = ParsedProblem({"--experts", "4", "--top-k", "8", "--n", "1024", "--k", "512",
                                      "--tokens", "64", "--rows", "77"});
  EXPECT_EQ(ProblemKey(problem.value()), "forward/bf16/plain/e4/t64x8/n1024/k512/r77/softmax");
}

struct WrongProblem {
  std::vector<std::string> arguments;
  std::string message;
};

class WrongProblemTest : public ::testing::TestWithParam<WrongProblem> {};

TEST_P(WrongProblemTest, IsAUsageErrorThatSaysWhatIsWrong) {
  const auto problem = ParsedProblem(GetParam().arguments);
  EXPECT_TRUE(IsUsageError(problem.status())) << problem.status();
  EXPECT_THAT(std::string(problem.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    ProblemOptions, WrongProblemTest,
    ::testing::Values(
        WrongProblem{{}, "--experts, --top-k, --n, --k, --tokens; or give it whole as --problem"},
        WrongProblem{{"--experts", "8", "--n", "1", "--k", "1"}, "lacks --top-k, --tokens"},
        WrongProblem{{"--problem", kKey, "--fusions", "gather"}, "not both"},
        WrongProblem{{"--problem", "forward"}, "forward"},
        WrongProblem{{"--problem", "forwrad/bf16/plain/e8/t1x1/n1/k1"}, "did you mean 'forward'"},
        WrongProblem{{"--experts", "8", "--top-k", "9", "--n", "1", "--k", "1", "--tokens", "1"},
                     "top_k"},
        WrongProblem{{"--experts", "8", "--top-k", "1", "--n", "1", "--k", "1", "--tokens", "0"},
                     "--tokens '0'"},
        WrongProblem{{"--experts", "8", "--top-k", "1", "--n", "1", "--k", "1", "--tokens", "1",
                      "--dtype", "bf61"},
                     "did you mean 'bf16'"}));

// Sets a variable of the environment, and puts back what was there.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before;
    value == nullptr ? unsetenv(name) : setenv(name, value, 1);
  }
  ~Variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(Database, WhatIsGivenGoesBeforeTheEnvironment) {
  const Variable data("XDG_DATA_HOME", "/data");
  EXPECT_EQ(DatabasePath("here.db").value(), "here.db");
  EXPECT_EQ(DatabasePath("").value(), "/data/moetune/moetune.db");
}

TEST(Database, WithoutADataHomeItLiesInTheHome) {
  const Variable home("HOME", "/home/mia");
  for (const char* value : {static_cast<const char*>(nullptr), "", "relative"}) {
    const Variable data("XDG_DATA_HOME", value);
    EXPECT_EQ(DatabasePath("").value(), "/home/mia/.local/share/moetune/moetune.db");
  }
}

TEST(Database, WithoutAnyHomeItMustBeNamed) {
  const Variable data("XDG_DATA_HOME", nullptr);
  const Variable home("HOME", nullptr);
  EXPECT_THAT(std::string(DatabasePath("").status().message()), HasSubstr("--db"));
}

TEST(Database, ItsWinnersAreRead) {
  const TempFolder folder;
  MakeDatabase(folder.File("a.db"), {WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(32))});
  EXPECT_EQ(ReadSnapshot(folder.File("a.db")).value()->Winners().size(), 2u);
}

TEST(Database, OneThatIsMissingIsNamed) {
  const TempFolder folder;
  const absl::Status status = ReadSnapshot(folder.File("none.db")).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("none.db"));
}

TEST(DeviceName, ANameIsTakenAsItStands) {
  const AskedDevice device = DeviceOrMachine("h200");
  EXPECT_EQ(device.spec.name, "h200");
  EXPECT_EQ(device.spec.compute_capability, 0);
  EXPECT_FALSE(device.here);
}

}  // namespace
}  // namespace moetune
