#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kMergeCommand;

namespace {

using ::testing::HasSubstr;

class MergeCommandTest : public ::testing::Test {
 protected:
  CliResult Merge(std::vector<std::string> from) {
    from.insert(from.begin(), {"--db", all_});
    return RunCli(kMergeCommand, std::move(from));
  }
  std::vector<Record> Records(const std::string& db) {
    return OpenStore(db, OpenMode::kReadOnly).value()->Scan(0).value().records;
  }

  TempFolder folder_;
  const std::string all_ = folder_.File("all.db");
  const std::string a_ = folder_.File("a.db");
  const std::string b_ = folder_.File("b.db");
};

TEST_F(MergeCommandTest, ShardsComeTogetherInANewDatabaseAndStayAsTheyWere) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(1)), WinnerFor(SmallProblem(2))});
  MakeDatabase(b_, {WinnerFor(SmallProblem(4))});
  const std::vector<Record> before = Records(a_);
  const CliResult result = Merge({a_, b_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("3 of 3 records added to " + all_));
  EXPECT_EQ(Records(all_).size(), 3u);
  EXPECT_EQ(Records(a_), before);
}

TEST_F(MergeCommandTest, MergingAgainOrIntoItselfAddsNothing) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(1))});
  Merge({a_});
  EXPECT_THAT(Merge({a_, all_}).out, HasSubstr("0 of 2 records added"));
}

TEST_F(MergeCommandTest, AMissingDatabaseIsNamedAndNothingIsMerged) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(1))});
  const CliResult result = Merge({a_, b_});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(b_));
  EXPECT_FALSE(std::filesystem::exists(all_));
  EXPECT_EQ(Merge({}).exit_code, 2);
}

}  // namespace
}  // namespace moetune
