#include "db/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/memory_store.h"
#include "db/snapshot.h"
#include "db/sqlite_store.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

Record WinnerAt(int64_t measured_at, double time_us) {
  Winner winner = WinnerFor(SmallProblem(64));
  winner.measured_at = measured_at;
  winner.time_us = time_us;
  return NewRecord(winner);
}

// A store to whose file another writer appends `interruption` just before the first batch.
class InterruptedStore : public Store {
 public:
  InterruptedStore(const std::string& path, Record interruption)
      : store_(OpenSqliteStore(path, OpenMode::kReadWrite).value()),
        other_(OpenSqliteStore(path, OpenMode::kReadWrite).value()),
        interruption_(std::move(interruption)) {}

  absl::StatusOr<int> Append(std::span<const Record> batch,
                             std::optional<int64_t> winners_until) override {
    EXPECT_TRUE(other_->Append({&interruption_, 1}).ok());  // again it adds nothing
    return store_->Append(batch, winners_until);
  }
  absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) override {
    return store_->Scan(since, filter);
  }
  absl::Status Close() override { return store_->Close(); }

 private:
  const std::unique_ptr<Store> store_;
  const std::unique_ptr<Store> other_;
  const Record interruption_;
};

class MergeTest : public ::testing::Test {
 protected:
  std::vector<double> StandingTimes() {
    const auto snapshot = Snapshot::Fold(nullptr, store_->Scan(0, kWinners).value());
    std::vector<double> times;
    for (const auto& winner : snapshot->Winners()) times.push_back(winner->time_us);
    return times;
  }

  std::unique_ptr<Store> store_ = NewMemoryStore();
};

TEST_F(MergeTest, RecordsAreTakenOnceAndAgainAddsNothing) {
  std::vector<Record> records = ManyWinners(3);
  records.push_back(NewRecord(MeasurementFor(SmallProblem(1))));
  records.push_back(NewRecord(StartedSweep()));
  records.push_back(records[0]);
  EXPECT_EQ(Merge(records, *store_).value(), 5);
  EXPECT_EQ(Merge(records, *store_).value(), 0);
  EXPECT_EQ(store_->Scan(0)->records.size(), 5u);
}

TEST_F(MergeTest, TheWinnerMeasuredLastStandsWhateverTheOrderOfMerging) {
  const Record older = WinnerAt(1000, 10);
  const Record newer = WinnerAt(2000, 20);
  ASSERT_EQ(Merge({newer}, *store_).value(), 1);
  EXPECT_EQ(Merge({older}, *store_).value(), 0);
  EXPECT_THAT(StandingTimes(), ElementsAre(20));

  store_ = NewMemoryStore();
  ASSERT_EQ(Merge({newer, older}, *store_).value(), 2);
  EXPECT_THAT(StandingTimes(), ElementsAre(20));
}

TEST_F(MergeTest, AWinnerThatAnotherWriterAddsMeanwhileIsNotSupersededByAnOlderOne) {
  const TempFolder folder;
  store_ = std::make_unique<InterruptedStore>(folder.File("a.db"), WinnerAt(2000, 20));
  const Record elsewhere = NewRecord(WinnerFor(SmallProblem(64), Fable75()));
  EXPECT_EQ(Merge({WinnerAt(1000, 10), elsewhere}, *store_).value(), 1);
  EXPECT_THAT(StandingTimes(), UnorderedElementsAre(20, 50));
}

TEST_F(MergeTest, WinnersOfOtherDevicesAndEstimatesAreNotSuperseded) {
  Winner elsewhere = WinnerFor(SmallProblem(64), Fable75());
  elsewhere.measured_at = 1;
  Winner estimated = WinnerFor(SmallProblem(64));
  estimated.measured_at = 1;
  estimated.estimated = true;
  ASSERT_EQ(Merge({WinnerAt(1000, 10)}, *store_).value(), 1);
  EXPECT_EQ(Merge({NewRecord(elsewhere), NewRecord(estimated)}, *store_).value(), 2);
}

TEST_F(MergeTest, ABatchWithAnInvalidRecordAddsNothing) {
  std::vector<Record> records = ManyWinners(2);
  records[1].uuid = "";
  EXPECT_FALSE(Merge(records, *store_).ok());
  EXPECT_TRUE(store_->Scan(0)->records.empty());
}

}  // namespace
}  // namespace moetune
