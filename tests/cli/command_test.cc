#include "cli/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/run_cli.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Command kGood = {"good", "does well", [](auto arguments) -> absl::StatusOr<int> {
                             std::cout << arguments.size() << " words\n";
                             return kExitOk;
                           }};
constexpr Command kBad = {"bad", "does badly", [](auto) -> absl::StatusOr<int> {
                            return absl::NotFoundError("first line\nsecond line");
                          }};
constexpr Command kMisused = {"misused", "is misused",
                              [](auto) -> absl::StatusOr<int> { return UsageError("give less"); }};
constexpr Command kOwnCode = {"own", "has its own code",
                              [](auto) -> absl::StatusOr<int> { return kExitFailed; }};
constexpr Command kHidden = {"hidden", "", [](auto) -> absl::StatusOr<int> { return kExitOk; }};
constexpr const Command* kCommands[] = {&kGood, &kBad, &kMisused, &kOwnCode, &kHidden};

TEST(Command, TakesTheWordsBehindItsName) {
  const CliResult result = RunCli(kCommands, {"good", "a", "b"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "2 words\n");
  EXPECT_EQ(result.err, "");
}

TEST(Command, AnErrorIsOneLineAndCostsOne) {
  const CliResult result = RunCli(kCommands, {"bad"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "moetune: first line second line\n");
}

TEST(Command, AUsageErrorCostsTwo) {
  const CliResult result = RunCli(kCommands, {"misused"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "moetune: give less\n");
}

TEST(Command, MayFailByItsOwnExitCode) {
  const CliResult result = RunCli(kCommands, {"own"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "");
}

TEST(Command, AnUnknownOneIsAnsweredWithTheNearest) {
  const CliResult result = RunCli(kCommands, {"goood"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, StartsWith("moetune: unknown command 'goood'; did you mean 'good'"));
  EXPECT_THAT(result.err, Not(HasSubstr("hidden")));
}

TEST(Command, HelpListsAllButTheHidden) {
  for (const char* help : {"--help", "-h", "help"}) {
    const CliResult result = RunCli(kCommands, {help});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, HasSubstr("  misused  is misused\n"));
    EXPECT_THAT(result.out, HasSubstr("  bad      does badly\n"));
    EXPECT_THAT(result.out, Not(HasSubstr("hidden")));
  }
}

TEST(Command, TheHiddenOneRuns) { EXPECT_EQ(RunCli(kCommands, {"hidden"}).exit_code, 0); }

TEST(Command, NoneAtAllIsAUsageErrorThatNamesHelp) {
  const CliResult result = RunCli(kCommands, {});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("moetune --help"));
}

TEST(Command, VersionIsPrintedWithTheFingerprintOfEachFamily) {
  const CliResult result = RunCli(kCommands, {"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, ::testing::MatchesRegex(
                              "moetune [0-9]+\\.[0-9]+\\.[0-9]+\n([a-z0-9_]+ [0-9a-f]+\n)+"));
}

}  // namespace
}  // namespace moetune
