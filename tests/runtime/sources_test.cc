// The two ConfigSources: a database file and a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "db/store.h"
#include "runtime/remote_source.h"
#include "runtime/snapshot_source.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using testing::HasSubstr;

class SnapshotSourceTest : public testing::Test {
 protected:
  void Append(const Winner& winner) {
    const Record record = NewRecord(winner);
    ASSERT_TRUE(store_->Append({&record, 1}).ok());
  }

  TempFolder folder_;
  std::string path_ = folder_.File("winners.db");
  std::unique_ptr<Store> store_ = *OpenStore(path_, OpenMode::kReadWrite);
};

TEST_F(SnapshotSourceTest, AnswersWithTheWinnersOfTheFile) {
  Append(WinnerFor(SmallProblem(64)));
  const auto source = OpenSnapshotSource(path_);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto choice = (*source)->Lookup(SmallProblem(64), Fiction100());
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->tier, Tier::kExact);
  EXPECT_EQ(*choice->winner, WinnerFor(SmallProblem(64)));
}

TEST_F(SnapshotSourceTest, SeesWhatIsAppendedAfterItWasOpened) {
  const auto source = OpenSnapshotSource(path_);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ((*source)->Lookup(SmallProblem(64), Fiction100())->tier, Tier::kDefault);
  Append(WinnerFor(SmallProblem(64)));
  EXPECT_EQ((*source)->Lookup(SmallProblem(64), Fiction100())->tier, Tier::kExact);
}

TEST_F(SnapshotSourceTest, GoesOnWithWhatItHadReadWhereTheFileWasReplaced) {
  Append(WinnerFor(SmallProblem(64)));
  ASSERT_TRUE(store_->Close().ok());  // no write-ahead log is left beside the file
  const auto source = OpenSnapshotSource(path_);
  ASSERT_TRUE(source.ok()) << source.status();
  const std::string other = folder_.File("other.db");
  ASSERT_TRUE((*OpenStore(other, OpenMode::kReadWrite))->Close().ok());
  std::filesystem::rename(other, path_);
  ASSERT_EQ((*OpenStore(path_, OpenMode::kReadOnly))->Scan(0)->last_sequence, 0);
  EXPECT_EQ((*source)->Lookup(SmallProblem(64), Fiction100())->tier, Tier::kExact);
  EXPECT_EQ((*source)->Lookup(SmallProblem(60), Fiction100())->tier, Tier::kBucket);
}

TEST_F(SnapshotSourceTest, AFileThatIsNotThereOrNoDatabaseIsAnErrorWhenOpened) {
  EXPECT_THAT(OpenSnapshotSource(folder_.File("absent.db")).status().ToString(),
              HasSubstr("absent.db"));
  WriteFile(folder_.File("text.db"), "this is no database, but long enough to be looked at\n");
  EXPECT_FALSE(OpenSnapshotSource(folder_.File("text.db")).ok());
}

TEST(RemoteSource, AServerThatDoesNotAnswerIsUnavailableAtTheLookup) {
  const auto source = OpenRemoteSource("127.0.0.1:1");
  ASSERT_TRUE(source.ok()) << source.status();
  const auto choice = (*source)->Lookup(SmallProblem(64), Fiction100());
  EXPECT_EQ(choice.status().code(), absl::StatusCode::kUnavailable) << choice.status();
  EXPECT_THAT(choice.status().ToString(), HasSubstr("127.0.0.1:1"));
}

TEST(RemoteSource, WhatIsNoAddressIsAnErrorWhenOpened) {
  EXPECT_FALSE(OpenRemoteSource("no address").ok());
}

}  // namespace
}  // namespace moetune
