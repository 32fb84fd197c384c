// What every store does, written once; its scans stand in scan_conformance.h. A backend joins with
// one INSTANTIATE_TEST_SUITE_P.
#ifndef MOETUNE_TESTS_DB_STORE_CONFORMANCE_H_
#define MOETUNE_TESTS_DB_STORE_CONFORMANCE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "db/store.h"
#include "tests/testing/records.h"

namespace moetune {

struct StoreBackend {
  std::string name;
  std::function<std::unique_ptr<Store>()> open_new;  // an empty log, open for writing
};

class StoreConformance : public ::testing::TestWithParam<StoreBackend> {
 protected:
  std::vector<Record> ScanAll(int64_t since = 0, RecordKinds kinds = kAllKinds) {
    absl::StatusOr<ScanResult> result = store_->Scan(since, kinds);
    EXPECT_EQ(result.status(), absl::OkStatus());
    return result.ok() ? std::move(result->records) : std::vector<Record>();
  }

  std::unique_ptr<Store> store_ = GetParam().open_new();
};

TEST_P(StoreConformance, ANewLogIsEmptyAndHasAnIdOfItsOwn) {
  EXPECT_EQ(store_->Append({}).value(), 0);
  const ScanResult result = store_->Scan(0).value();
  EXPECT_TRUE(IsUuid(result.database_id)) << result.database_id;
  EXPECT_NE(result.database_id, GetParam().open_new()->Scan(0)->database_id);
  EXPECT_EQ(result.last_sequence, 0);
  EXPECT_TRUE(result.records.empty());
}

TEST_P(StoreConformance, RowsOfEachKindComeBackAsTheyWere) {
  Winner winner =
      WinnerFor(ProblemOf("forward/bf16-fp32/scatter+scale/e16/t300x4/n7/k9/r77/"
                          "softmax+zipf+counts-0000abcd"));
  winner.estimated = true;
  winner.config.Set("stages", Config::Values{1, -2, 3});
  winner.reason = std::string("said \"so\",\nwith a tab\t, a \\, µs and a NUL ") + '\0' + " byte";
  Measurement failed = MeasurementFor(SmallProblem(1), Fable75());
  failed.outcome = Outcome::kWrongResult;
  failed.error = "row 3 differs";
  failed.time_us = 0;
  failed.seed = std::numeric_limits<uint64_t>::max();
  failed.config = Config();
  failed.environment = {};
  Measurement precise = MeasurementFor(SmallProblem(1));
  precise.time_us = 0.1 + 0.2;
  precise.clocks.power_watts = std::numeric_limits<double>::denorm_min();
  precise.measured_at = -1;
  precise.hot_us = 0.7 * 0.1;
  precise.sm_clock_mhz = 1754.5;
  precise.clocks.throttle = "power_cap";
  precise.unsteady_rounds = 2;
  precise.routing_us = {0.1 + 0.2, 1e-300};
  Sweep sweep = StartedSweep();
  sweep.state = SweepState::kFinished;
  sweep.spec = "";

  std::vector<Record> batch = {NewRecord(winner), NewRecord(failed), NewRecord(precise),
                               NewRecord(sweep)};
  ASSERT_EQ(store_->Append(batch).value(), 4);
  for (size_t i = 0; i < batch.size(); ++i) batch[i].sequence = static_cast<int64_t>(i) + 1;
  EXPECT_EQ(ScanAll(), batch);
}

TEST_P(StoreConformance, SequenceNumbersCountTheRowsInOrderAcrossBatches) {
  for (int i = 1; i <= 5; ++i) {
    const std::vector<Record> batch = {NewRecord(MeasurementFor(SmallProblem(i))),
                                       NewRecord(StartedSweep())};
    ASSERT_EQ(store_->Append(batch).value(), 2);
  }
  const std::vector<Record> records = ScanAll();
  ASSERT_EQ(records.size(), 10u);
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].sequence, static_cast<int64_t>(i) + 1);
  }
}

TEST_P(StoreConformance, ARecordIsTakenOnce) {
  const std::vector<Record> records = ManyWinners(3);
  ASSERT_EQ(store_->Append(records).value(), 3);
  std::vector<Record> again = records;
  again.push_back(NewRecord(StartedSweep()));
  again.push_back(again.back());
  EXPECT_EQ(store_->Append(again).value(), 1);
  const std::vector<Record> all = ScanAll();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[3].sequence, 4);
}

TEST_P(StoreConformance, ABatchWithAnInvalidRecordAddsNothing) {
  ASSERT_TRUE(store_->Append(ManyWinners(1)).ok());
  std::vector<Record> batch = ManyWinners(3);
  std::get<Winner>(batch[2].row).time_us = std::nan("");
  const absl::Status status = store_->Append(batch).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("time_us"));
  EXPECT_EQ(ScanAll().size(), 1u);
  EXPECT_EQ(store_->Scan(0)->last_sequence, 1);
}

TEST_P(StoreConformance, ABatchOnAConditionIsAddedOnlyWhereNoWinnerCameSince) {
  ASSERT_EQ(store_->Append(ManyWinners(2), 0).value(), 2);
  for (const int64_t until : {0, 1}) {
    EXPECT_EQ(store_->Append(ManyWinners(1), until).status().code(), absl::StatusCode::kAborted);
  }
  EXPECT_EQ(ScanAll().size(), 2u);
  const Record trial = NewRecord(MeasurementFor(SmallProblem(64)));
  ASSERT_EQ(store_->Append({&trial, 1}, 2).value(), 1);
  EXPECT_EQ(store_->Append(ManyWinners(1), 2).value(), 1) << "a trial supersedes nothing";
}

TEST_P(StoreConformance, AClosedStoreSaysSo) {
  EXPECT_EQ(store_->Close(), absl::OkStatus());
  EXPECT_EQ(store_->Close(), absl::OkStatus());
  EXPECT_EQ(store_->Append(ManyWinners(1)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Scan(0).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_DB_STORE_CONFORMANCE_H_
