#include "tuner/service/config_handlers.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "proto/convert.h"
#include "proto/field_path.h"
#include "tests/testing/records.h"
#include "tests/testing/snapshots.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::LookupRequest RequestFor(const Problem& problem, const DeviceSpec& device) {
  v1::LookupRequest request;
  *request.mutable_problem() = ToProto(problem);
  *request.mutable_device() = ToProto(device);
  return request;
}

std::vector<Winner> SmallWinners(int count) {
  std::vector<Winner> winners;
  for (int i = 1; i <= count; ++i) winners.push_back(WinnerFor(SmallProblem(i)));
  return winners;
}

TEST(Lookup, AnswersWithTheRowThatWasStored) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64))});
  v1::LookupResponse response;
  ASSERT_TRUE(HandleLookup(*snapshot, RequestFor(SmallProblem(64), Fiction100()), response).ok());
  EXPECT_EQ(response.tier(), v1::TIER_EXACT);
  EXPECT_EQ(response.distance(), 0);
  EXPECT_EQ(response.snapshot_token(), snapshot->Token());
  EXPECT_EQ(FromProto(response.winner(), "").value(), WinnerFor(SmallProblem(64)));
}

TEST(Lookup, AKeyAndItsTypedFieldsAreTheSameQuestion) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64))});
  v1::LookupRequest typed = RequestFor(SmallProblem(48), Fiction100());
  v1::LookupRequest by_key = typed;
  by_key.set_problem_key(ProblemKey(SmallProblem(48)));
  v1::LookupResponse a, b;
  ASSERT_TRUE(HandleLookup(*snapshot, typed, a).ok());
  ASSERT_TRUE(HandleLookup(*snapshot, by_key, b).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(a, b));
  EXPECT_EQ(a.tier(), v1::TIER_BUCKET);
}

TEST(Lookup, AMissIsAnsweredWithTheDefault) {
  v1::LookupResponse response;
  const auto snapshot = SnapshotOf({});
  ASSERT_TRUE(HandleLookup(*snapshot, RequestFor(SmallProblem(64), Fiction100()), response).ok());
  EXPECT_EQ(response.tier(), v1::TIER_DEFAULT);
  EXPECT_EQ(response.winner().time_us(), 0);
  EXPECT_FALSE(response.winner().config().family().empty());
  EXPECT_EQ(response.winner().problem_key(), ProblemKey(SmallProblem(64)));
}

TEST(Lookup, WithoutADeviceTheLoneOneIsTaken) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64))});
  v1::LookupRequest request = RequestFor(SmallProblem(64), Fiction100());
  request.clear_device();
  v1::LookupResponse response;
  ASSERT_TRUE(HandleLookup(*snapshot, request, response).ok());
  EXPECT_EQ(response.winner().device().name(), "Fiction 100");
}

TEST(Lookup, ADeviceNameAloneIsEnoughForAKnownDevice) {
  v1::LookupRequest request = RequestFor(SmallProblem(64), Fiction100());
  request.mutable_device()->Clear();
  request.mutable_device()->set_name("h200");
  v1::LookupResponse response;
  ASSERT_TRUE(HandleLookup(*SnapshotOf({}), request, response).ok());
  EXPECT_EQ(response.winner().device().name(), "NVIDIA H200");
}

TEST(Lookup, RatesThatTheAskerDoesNotKnowAreFilledIn) {
  DeviceSpec device = Fiction100();
  device.copy_gbps = device.read_gbps = device.write_gbps = 0;
  device.matrix_tflops = device.fma_tflops = 0;
  v1::LookupResponse response;
  ASSERT_TRUE(HandleLookup(*SnapshotOf({}), RequestFor(SmallProblem(64), device), response).ok());
  EXPECT_GT(response.winner().device().copy_gbps(), 0);
  EXPECT_GT(response.winner().device().matrix_tflops(), 0);
}

TEST(Lookup, WhatTheAskerRunsOtherwiseIsStale) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64))});
  v1::LookupRequest request = RequestFor(SmallProblem(64), Fiction100());
  request.mutable_environment()->set_driver("700.5");
  v1::LookupResponse response;
  ASSERT_TRUE(HandleLookup(*snapshot, request, response).ok());
  EXPECT_EQ(response.tier(), v1::TIER_EXACT);
  EXPECT_THAT(response.stale(), ElementsAre(HasSubstr("700.5")));
}

TEST(Lookup, EachMistakeNamesItsField) {
  const auto snapshot = SnapshotOf({});
  v1::LookupResponse response;
  const v1::LookupRequest valid = RequestFor(SmallProblem(64), Fiction100());
  const auto path = [&](const v1::LookupRequest& request) {
    return FieldPath(HandleLookup(*snapshot, request, response));
  };
  v1::LookupRequest request = valid;
  request.clear_asked();
  EXPECT_EQ(path(request), "problem");
  request.set_problem_key("forward/bf16");
  EXPECT_EQ(path(request), "problem_key");
  request.set_problem_key(std::string(100'000, '/'));
  EXPECT_EQ(path(request), "problem_key");
  request = valid;
  request.mutable_problem()->set_top_k(-8);
  EXPECT_EQ(path(request), "problem.top_k");
  request = valid;
  request.mutable_device()->set_sm_count(-1);
  EXPECT_EQ(path(request), "device.sm_count");
  request.clear_device();
  EXPECT_EQ(path(request), "device.name");
  request.mutable_device()->set_name("H2000");
  EXPECT_EQ(path(request), "device.name");
}

TEST(Lookup, ADeviceOnWhichNothingRunsIsNotFound) {
  v1::LookupResponse response;
  EXPECT_EQ(HandleLookup(*SnapshotOf({}), RequestFor(SmallProblem(64), Relic30()), response).code(),
            absl::StatusCode::kNotFound);
}

TEST(BatchLookup, AnswersStandInTheOrderOfTheQuestions) {
  const auto snapshot = SnapshotOf(SmallWinners(20));
  v1::BatchLookupRequest batch;
  for (int i : {7, 3, 20, 3}) {
    *batch.add_requests() = RequestFor(SmallProblem(i), Fiction100());
  }
  v1::BatchLookupResponse response;
  ASSERT_TRUE(HandleBatchLookup(*snapshot, batch, response).ok());
  std::vector<int64_t> tokens;
  for (const auto& answer : response.responses()) {
    tokens.push_back(answer.winner().problem().tokens());
    EXPECT_EQ(answer.snapshot_token(), snapshot->Token());
  }
  EXPECT_THAT(tokens, ElementsAre(7, 3, 20, 3));
}

TEST(BatchLookup, AMistakeNamesTheRequestAndItsField) {
  v1::BatchLookupRequest batch;
  for (int i = 0; i < 5; ++i) *batch.add_requests() = RequestFor(SmallProblem(64), Fiction100());
  batch.mutable_requests(3)->mutable_problem()->set_top_k(0);
  v1::BatchLookupResponse response;
  const absl::Status status = HandleBatchLookup(*SnapshotOf({}), batch, response);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(status), "requests[3].problem.top_k");
}

TEST(BatchLookup, AThousandAreAnsweredAndOneMoreIsRefused) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64))});
  v1::BatchLookupRequest batch;
  for (int i = 0; i < kMaxBatch; ++i) {
    *batch.add_requests() = RequestFor(SmallProblem(64), Fiction100());
  }
  v1::BatchLookupResponse response;
  EXPECT_TRUE(HandleBatchLookup(*snapshot, batch, response).ok());
  EXPECT_EQ(response.responses_size(), kMaxBatch);
  *batch.add_requests() = RequestFor(SmallProblem(64), Fiction100());
  const absl::Status status = HandleBatchLookup(*snapshot, batch, response);
  EXPECT_EQ(FieldPath(status), "requests");
  EXPECT_THAT(std::string(status.message()), HasSubstr("1001"));
}

TEST(BatchLookup, ACancelledBatchStops) {
  v1::BatchLookupRequest batch;
  for (int i = 1; i <= 5; ++i) *batch.add_requests() = RequestFor(SmallProblem(i), Fiction100());
  v1::BatchLookupResponse response;
  int asked = 0;
  const absl::Status status =
      HandleBatchLookup(*SnapshotOf({}), batch, response, [&] { return ++asked > 3; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(response.responses_size(), 3);
}

// Follows the page tokens to the end, calling `between` after each page.
std::vector<std::string> AllPages(
    std::shared_ptr<const Snapshot>& snapshot, int page_size,
    const std::function<void()>& between = [] {}) {
  std::vector<std::string> keys;
  v1::ListWinnersRequest request;
  request.set_page_size(page_size);
  do {
    v1::ListWinnersResponse response;
    EXPECT_TRUE(HandleListWinners(*snapshot, request, response).ok());
    EXPECT_LE(response.winners_size(), page_size);
    for (const auto& winner : response.winners()) {
      keys.push_back(winner.device().name() + " " + winner.problem_key());
    }
    request.set_page_token(response.next_page_token());
    between();
  } while (!request.page_token().empty());
  return keys;
}

TEST(ListWinners, PagesOfAnySizeGiveEachWinnerOnceInOrder) {
  std::vector<Winner> winners = SmallWinners(23);
  for (int i = 1; i <= 10; ++i) winners.push_back(WinnerFor(SmallProblem(i), Fable75()));
  auto snapshot = SnapshotOf(winners);
  const std::vector<std::string> whole = AllPages(snapshot, 1000);
  EXPECT_EQ(whole.size(), 33u);
  EXPECT_TRUE(std::ranges::is_sorted(whole));
  for (int page_size : {1, 2, 7, 11, 32, 33, 34}) {
    EXPECT_EQ(AllPages(snapshot, page_size), whole) << page_size;
  }
}

TEST(ListWinners, TheLastPageHasNoTokenEvenWhenItIsFull) {
  v1::ListWinnersRequest request;
  request.set_page_size(5);
  v1::ListWinnersResponse response;
  ASSERT_TRUE(HandleListWinners(*SnapshotOf(SmallWinners(5)), request, response).ok());
  EXPECT_EQ(response.winners_size(), 5);
  EXPECT_EQ(response.next_page_token(), "");
}

TEST(ListWinners, WinnersAddedBetweenPagesNeitherRepeatNorHideOthers) {
  std::vector<Winner> winners = SmallWinners(30);
  auto snapshot = SnapshotOf(winners);
  const std::vector<std::string> before = AllPages(snapshot, 1000);
  int added = 0;
  const std::vector<std::string> paged = AllPages(snapshot, 4, [&] {
    if (++added > 5) return;
    winners.push_back(WinnerFor(SmallProblem(100 + added)));
    winners.push_back(WinnerFor(SmallProblem(100 + added), Fable75()));
    snapshot = SnapshotOf(winners);
  });
  const std::set<std::string> unique(paged.begin(), paged.end());
  EXPECT_EQ(unique.size(), paged.size());
  for (const std::string& key : before) EXPECT_TRUE(unique.contains(key)) << key;
}

TEST(ListWinners, MeasuredAndEstimatedRowsOfOneProblemBothCome) {
  Winner estimated = WinnerFor(SmallProblem(64));
  estimated.estimated = true;
  auto snapshot = SnapshotOf({estimated, WinnerFor(SmallProblem(64))});
  EXPECT_EQ(AllPages(snapshot, 1).size(), 2u);
}

TEST(ListWinners, PageSizesHaveADefaultAndALimit) {
  const auto snapshot = SnapshotOf(SmallWinners(1200));
  v1::ListWinnersRequest request;
  v1::ListWinnersResponse response;
  ASSERT_TRUE(HandleListWinners(*snapshot, request, response).ok());
  EXPECT_EQ(response.winners_size(), kDefaultPageSize);
  request.set_page_size(1'000'000);
  response.Clear();
  ASSERT_TRUE(HandleListWinners(*snapshot, request, response).ok());
  EXPECT_EQ(response.winners_size(), kMaxPageSize);
  request.set_page_size(-1);
  EXPECT_EQ(FieldPath(HandleListWinners(*snapshot, request, response)), "page_size");
}

TEST(ListWinners, AForeignPageTokenIsRefused) {
  const auto snapshot = SnapshotOf(SmallWinners(5));
  for (const char* token : {"7", "!!", "Zm9v", "Zm9vCmJhcgow"}) {
    v1::ListWinnersRequest request;
    request.set_page_token(token);
    v1::ListWinnersResponse response;
    const absl::Status status = HandleListWinners(*snapshot, request, response);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << token;
    EXPECT_EQ(FieldPath(status), "page_token") << token;
  }
}

TEST(ListWinners, ADeviceNameSelectsAndATypoIsNamed) {
  const auto snapshot = SnapshotOf(
      {WinnerFor(SmallProblem(64), Fable75()), WinnerFor(SmallProblem(64), Fiction100())});
  v1::ListWinnersRequest request;
  request.set_device_name("Fable 75");
  v1::ListWinnersResponse response;
  ASSERT_TRUE(HandleListWinners(*snapshot, request, response).ok());
  ASSERT_EQ(response.winners_size(), 1);
  EXPECT_EQ(response.winners(0).device().name(), "Fable 75");
  EXPECT_EQ(response.snapshot_token(), snapshot->Token());

  request.set_device_name("a100");  // known, without winners
  response.Clear();
  ASSERT_TRUE(HandleListWinners(*snapshot, request, response).ok());
  EXPECT_THAT(response.winners(), IsEmpty());

  request.set_device_name("Fabel 75");
  EXPECT_EQ(FieldPath(HandleListWinners(*snapshot, request, response)), "device_name");
}

}  // namespace
}  // namespace moetune
