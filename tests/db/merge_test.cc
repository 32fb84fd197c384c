#include "db/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/memory_store.h"
#include "db/snapshot.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;

Record WinnerAt(int64_t measured_at, double time_us) {
  Winner winner = WinnerFor(SmallProblem(64));
  winner.measured_at = measured_at;
  winner.time_us = time_us;
  return NewRecord(winner);
}

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
