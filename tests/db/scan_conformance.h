// What every store gives on a scan. The fixture stands in store_conformance.h.
#ifndef MOETUNE_TESTS_DB_SCAN_CONFORMANCE_H_
#define MOETUNE_TESTS_DB_SCAN_CONFORMANCE_H_

#include <vector>

#include "tests/db/store_conformance.h"

namespace moetune {

TEST_P(StoreConformance, AScanStartsAfterWhatWasSeen) {
  const std::vector<Record> records = ManyWinners(6);
  ASSERT_EQ(store_->Append(records).value(), 6);
  const std::vector<Record> rest = ScanAll(4);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].uuid, records[4].uuid);
  EXPECT_EQ(rest[1].uuid, records[5].uuid);
  EXPECT_TRUE(ScanAll(1000).empty());
}

TEST_P(StoreConformance, AScanSeesWhatThisStoreAppendedSinceTheLastOne) {
  ASSERT_TRUE(store_->Append(ManyWinners(1)).ok());
  EXPECT_EQ(ScanAll(1).size(), 0u);
  ASSERT_TRUE(store_->Append(ManyWinners(2)).ok());
  EXPECT_EQ(ScanAll(1).size(), 2u);
  EXPECT_EQ(store_->Scan(1)->last_sequence, 3);
}

TEST_P(StoreConformance, AScanGivesOnlyTheKindsAskedForAndStillTheLastSequence) {
  const std::vector<Record> batch = {
      NewRecord(StartedSweep()), NewRecord(MeasurementFor(SmallProblem(16))),
      NewRecord(WinnerFor(SmallProblem(16))), NewRecord(MeasurementFor(SmallProblem(16)))};
  ASSERT_TRUE(store_->Append(batch).ok());
  const ScanResult winners = store_->Scan(0, kWinners).value();
  ASSERT_EQ(winners.records.size(), 1u);
  EXPECT_EQ(winners.records[0].uuid, batch[2].uuid);
  EXPECT_EQ(winners.records[0].sequence, 3);
  EXPECT_EQ(winners.last_sequence, 4);
  EXPECT_EQ(ScanAll(0, kMeasurements | kSweeps).size(), 3u);
}

TEST_P(StoreConformance, AScanOfAShapeGivesItsRowsAloneInOrderAndStillTheLastSequence) {
  const Problem problem = SmallProblem(16);
  std::vector<Problem> others(4, problem);
  others[0].shape.fusions = kGather;
  others[1].shape.output = Dtype::kFp32;
  others[2].shape.n = 2048;
  others[3].shape.experts = 16;
  std::vector<Record> batch;
  for (const Problem& other : others) batch.push_back(NewRecord(WinnerFor(other)));
  batch.push_back(NewRecord(MeasurementFor(SmallProblem(32))));
  batch.push_back(NewRecord(WinnerFor(problem, Fable75())));
  batch.push_back(NewRecord(WinnerFor(SmallProblem(8))));
  batch.push_back(NewRecord(StartedSweep()));
  ASSERT_TRUE(store_->Append(batch).ok());
  for (size_t i = 0; i < batch.size(); ++i) batch[i].sequence = static_cast<int64_t>(i) + 1;

  const ScanResult all = store_->Scan(0, {.shape = problem.shape}).value();
  EXPECT_EQ(all.records, std::vector<Record>(batch.begin() + 4, batch.begin() + 7));
  EXPECT_EQ(all.last_sequence, 8);
  const ScanResult winners =
      store_->Scan(6, {.kinds = kWinners | kSweeps, .shape = problem.shape}).value();
  EXPECT_EQ(winners.records, std::vector<Record>(batch.begin() + 6, batch.begin() + 7));
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_DB_SCAN_CONFORMANCE_H_
