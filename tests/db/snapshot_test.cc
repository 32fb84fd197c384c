#include "db/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "kernels/cost_model.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kLogId[] = "aaaaaaaa-0000-4000-8000-000000000000";

// A log that grows: each Add is a scan folded in.
class Log {
 public:
  void Add(std::vector<std::variant<Measurement, Winner, Sweep>> rows) {
    ScanResult scan{.database_id = kLogId};
    for (auto& row : rows) {
      Record record = NewRecord(std::move(row));
      record.sequence = ++last_sequence_;
      scan.records.push_back(std::move(record));
    }
    scan.last_sequence = last_sequence_;
    snapshot_ = Snapshot::Fold(snapshot_, std::move(scan));
  }

  const Snapshot& operator*() const { return *snapshot_; }
  const Snapshot* operator->() const { return snapshot_.get(); }
  std::shared_ptr<const Snapshot> snapshot() const { return snapshot_; }

  Choice Lookup(const Problem& problem, const DeviceSpec& device = Fiction100()) const {
    return snapshot_->Lookup(problem, device).value();
  }

 private:
  int64_t last_sequence_ = 0;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
};

Winner Timed(Winner winner, double time_us) {
  winner.time_us = time_us;
  return winner;
}

Winner WinnerOf(std::string_view key, const DeviceSpec& device = Fiction100()) {
  return WinnerFor(ProblemOf(key), device);
}

Winner Estimated(Winner winner) {
  winner.estimated = true;
  return winner;
}

std::string KeyOf(const Choice& choice) { return ProblemKey(choice.winner->problem); }

TEST(Tier, NamesReadBack) {
  for (int i = 0; i <= static_cast<int>(Tier::kDefault); ++i) {
    EXPECT_EQ(ParseTier(TierName(static_cast<Tier>(i))).value(), static_cast<Tier>(i));
  }
  EXPECT_FALSE(ParseTier("good").ok());
}

TEST(Snapshot, AnEmptyOneAnswersWithTheCostModelsFirstChoice) {
  const Snapshot snapshot;
  const Problem problem = SmallProblem(16);
  const Choice choice = snapshot.Lookup(problem, Fiction100()).value();
  const Candidate candidate = DefaultCandidate(problem, Fiction100()).value();
  EXPECT_EQ(choice.tier, Tier::kDefault);
  EXPECT_EQ(choice.winner->problem, problem);
  EXPECT_EQ(choice.winner->family, candidate.family->name);
  EXPECT_EQ(choice.winner->config, candidate.config);
  EXPECT_EQ(choice.winner->time_us, 0);
  EXPECT_EQ(choice.winner->Speedup(), 1);
}

TEST(Snapshot, WhereNothingRunsThereIsNoAnswer) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16))});
  EXPECT_EQ(log->Lookup(SmallProblem(16), Relic30()).status().code(), absl::StatusCode::kNotFound);
}

TEST(Snapshot, AnInvalidProblemIsAnErrorAndNotADefault) {
  Problem problem = SmallProblem(16);
  problem.tokens = 0;
  EXPECT_EQ(Snapshot().Lookup(problem, Fiction100()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Snapshot, TheWinnerOfTheProblemItselfIsExact) {
  Log log;
  log.Add({WinnerFor(SmallProblem(8)), WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(32))});
  const Choice choice = log.Lookup(SmallProblem(16));
  EXPECT_EQ(choice.tier, Tier::kExact);
  EXPECT_EQ(choice.distance, 0);
  EXPECT_EQ(*choice.winner, WinnerFor(SmallProblem(16)));
}

TEST(Snapshot, AChoiceOutlivesItsSnapshot) {
  Choice choice;
  {
    Log log;
    log.Add({WinnerFor(SmallProblem(16))});
    choice = log.Lookup(SmallProblem(16));
  }
  EXPECT_EQ(*choice.winner, WinnerFor(SmallProblem(16)));
}

TEST(Snapshot, ARowCountBetweenWinnersIsABucket) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(64))});
  const Choice choice = log.Lookup(SmallProblem(20));
  EXPECT_EQ(choice.tier, Tier::kBucket);
  EXPECT_EQ(KeyOf(choice), ProblemKey(SmallProblem(16)));
  EXPECT_NEAR(choice.distance, 0.322, 0.001);
}

TEST(Snapshot, RoutingNeverLowersTheTier) {
  Log log;
  log.Add({WinnerOf("forward/bf16/plain/e8/t16x2/n1024/k512/balanced+zipf")});
  const Choice choice = log.Lookup(SmallProblem(16));
  EXPECT_EQ(choice.tier, Tier::kExact);
  EXPECT_EQ(KeyOf(choice), "forward/bf16/plain/e8/t16x2/n1024/k512/balanced+zipf");
}

TEST(Snapshot, ANeighbourIsTheNearestOtherShapeThatBeatItsDefault) {
  Log log;
  log.Add({WinnerOf("forward/bf16/plain/e8/t16x2/n4096/k512/softmax"),
           WinnerOf("forward/bf16/plain/e8/t16x2/n2048/k512/softmax"),
           WinnerOf("forward/bf16/plain/e8/t64x2/n2048/k512/softmax"),
           WinnerOf("forward/fp16/plain/e8/t16x2/n1024/k512/softmax")});
  const Choice choice = log.Lookup(SmallProblem(16));
  EXPECT_EQ(choice.tier, Tier::kNeighbour);
  EXPECT_EQ(KeyOf(choice), "forward/bf16/plain/e8/t16x2/n2048/k512/softmax");
  EXPECT_DOUBLE_EQ(choice.distance, 1);
}

TEST(Snapshot, ANeighbourThatLostToItsDefaultIsNotServed) {
  Log log;
  log.Add({Timed(WinnerOf("forward/bf16/plain/e8/t16x2/n2048/k512/softmax"), 100)});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kDefault);
  log.Add({WinnerOf("forward/bf16/plain/e8/t16x2/n4096/k512/softmax")});
  EXPECT_EQ(KeyOf(log.Lookup(SmallProblem(16))), "forward/bf16/plain/e8/t16x2/n4096/k512/softmax");
}

TEST(Snapshot, ANeighbourFarOffIsNotServed) {
  Log log;
  log.Add({WinnerOf("forward/bf16/plain/e8/t16x2/n65536/k512/softmax")});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kDefault);
}

TEST(Snapshot, NeighboursEquallyNearAreTakenInTheOrderOfTheirKeys) {
  const std::vector<std::string> keys = {"forward/bf16/plain/e8/t16x2/n1024/k1024/softmax",
                                         "forward/bf16/plain/e8/t16x2/n1024/k256/softmax",
                                         "forward/bf16/plain/e8/t16x2/n2048/k512/softmax",
                                         "forward/bf16/plain/e8/t16x2/n512/k512/softmax"};
  for (size_t first = 0; first < keys.size(); ++first) {
    Log log;
    for (size_t i = 0; i < keys.size(); ++i) log.Add({WinnerOf(keys[(first + i) % keys.size()])});
    EXPECT_EQ(KeyOf(log.Lookup(SmallProblem(16))), keys[0]);
  }
}

TEST(Snapshot, OwnWinnersComeBeforeThoseOfASibling) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16), Fiction200()),
           WinnerOf("forward/bf16/plain/e8/t16x2/n2048/k512/softmax", Fiction100())});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kNeighbour);
}

TEST(Snapshot, ASiblingHasTheComputeCapabilityAndTheNearestSmCount) {
  DeviceSpec larger = Fiction200();
  larger.name = "Fiction 400";
  larger.sm_count = 400;
  Log log;
  log.Add({WinnerFor(SmallProblem(16), larger), WinnerFor(SmallProblem(16), Fiction200()),
           WinnerFor(SmallProblem(16), Fable75())});
  const Choice choice = log.Lookup(SmallProblem(16), Fiction100());
  EXPECT_EQ(choice.tier, Tier::kSibling);
  EXPECT_EQ(choice.winner->device.name, "Fiction 200");
  EXPECT_DOUBLE_EQ(choice.distance, 1);  // twice the SMs
  DeviceSpec other = Fable75();
  other.name = "Fable 86";
  other.compute_capability = 86;
  EXPECT_EQ(log.Lookup(SmallProblem(16), other).tier, Tier::kDefault);
}

TEST(Snapshot, OfSiblingsTheOneThatKnowsTheShapeAnswersBeforeANearerOne) {
  DeviceSpec larger = Fiction200();
  larger.name = "Fiction 400";
  larger.sm_count = 400;
  Log log;
  log.Add({WinnerOf("forward/bf16/plain/e8/t16x2/n2048/k512/softmax", Fiction200())});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).winner->device.name, "Fiction 200");
  log.Add({WinnerFor(SmallProblem(16), larger)});
  const Choice choice = log.Lookup(SmallProblem(16));
  EXPECT_EQ(choice.tier, Tier::kSibling);
  EXPECT_EQ(choice.winner->device.name, "Fiction 400");
}

TEST(Snapshot, AnEstimateNeverShadowsAMeasuredWinner) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16)), Estimated(Timed(WinnerFor(SmallProblem(16)), 1)),
           Estimated(Timed(WinnerFor(SmallProblem(32)), 1))});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kExact);
  EXPECT_FALSE(log.Lookup(SmallProblem(16)).winner->estimated);
  EXPECT_EQ(log.Lookup(SmallProblem(32)).tier, Tier::kBucket);
  EXPECT_EQ(log->Winners().size(), 3u);
}

TEST(Snapshot, AnEstimateAnswersBeforeTheDefaultAndAfterASibling) {
  Log log;
  log.Add({Estimated(WinnerFor(SmallProblem(16)))});
  for (const int64_t tokens : {16, 20}) {
    const Choice choice = log.Lookup(SmallProblem(tokens));
    EXPECT_EQ(choice.tier, Tier::kEstimated);
    EXPECT_TRUE(choice.winner->estimated);
  }
  log.Add({WinnerFor(SmallProblem(16), Fiction200())});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kSibling);
}

TEST(Snapshot, WhatThisProgramCannotRunIsKeptButNotServed) {
  Winner unknown_family = WinnerFor(SmallProblem(16));
  unknown_family.family = "sm999_magic";
  Winner unknown_config = WinnerFor(SmallProblem(32));
  unknown_config.config.Set("block_m", 7);
  Log log;
  log.Add({unknown_family, unknown_config});
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kDefault);
  EXPECT_EQ(log.Lookup(SmallProblem(32)).tier, Tier::kDefault);
  EXPECT_EQ(log->Winners().size(), 2u);
}

TEST(Snapshot, ALaterWinnerSupersedesAndBothAreHistory) {
  Winner later = Timed(WinnerFor(SmallProblem(16)), 40);
  later.environment.driver = "700.1";
  Log log;
  log.Add({WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(16), Fiction200())});
  log.Add({later});
  EXPECT_EQ(*log.Lookup(SmallProblem(16)).winner, later);
  EXPECT_EQ(log->Winners().size(), 2u);
  const std::vector<WinnerRow> history = log->History(SmallProblem(16));
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history[0].sequence, 3);
  EXPECT_EQ(*history[0].winner, later);
  EXPECT_EQ(history[1].winner->device.name, "Fiction 200");
  EXPECT_EQ(history[2].sequence, 1);
  EXPECT_TRUE(IsUuid(history[2].uuid));
  EXPECT_THAT(log->History(SmallProblem(17)), IsEmpty());
}

TEST(Snapshot, FoldingPieceByPieceIsFoldingAtOnce) {
  const std::vector<Record> records = ManyWinners(200);
  ScanResult all{.database_id = kLogId, .last_sequence = 200, .records = records};
  for (size_t i = 0; i < records.size(); ++i) {
    all.records[i].sequence = static_cast<int64_t>(i) + 1;
  }
  std::shared_ptr<const Snapshot> pieces;
  for (const Record& record : all.records) {
    pieces = Snapshot::Fold(pieces, {kLogId, record.sequence, {record}});
  }
  const std::shared_ptr<const Snapshot> once = Snapshot::Fold(nullptr, all);
  EXPECT_EQ(pieces->Token(), once->Token());
  const auto a = pieces->Winners();
  const auto b = once->Winners();
  ASSERT_EQ(a.size(), 200u);
  ASSERT_EQ(b.size(), 200u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(*a[i], *b[i]);
  for (const Record& record : records) {
    const Problem& problem = std::get<Winner>(record.row).problem;
    EXPECT_EQ(pieces->Lookup(problem, Fiction100())->tier, Tier::kExact);
  }
}

TEST(Snapshot, AFoldLeavesItsBaseAloneAndSharesItsRows) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16))});
  const std::shared_ptr<const Snapshot> before = log.snapshot();
  log.Add({WinnerFor(SmallProblem(32))});
  EXPECT_EQ(before->Winners().size(), 1u);
  EXPECT_EQ(log->Winners().size(), 2u);
  EXPECT_EQ(before->Lookup(SmallProblem(16), Fiction100())->winner,
            log.Lookup(SmallProblem(16)).winner);
}

TEST(Snapshot, AFoldOfNothingNewIsTheSameSnapshot) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16))});
  EXPECT_EQ(Snapshot::Fold(log.snapshot(), {kLogId, 1, {}}), log.snapshot());
}

TEST(Snapshot, RowsSeenBeforeAreNotFoldedTwice) {
  Record record = NewRecord(WinnerFor(SmallProblem(16)));
  record.sequence = 1;
  const auto once = Snapshot::Fold(nullptr, {kLogId, 1, {record}});
  const auto twice = Snapshot::Fold(once, {kLogId, 2, {record}});
  EXPECT_EQ(twice->History(SmallProblem(16)).size(), 1u);
  EXPECT_EQ(twice->last_sequence(), 2);
}

TEST(Snapshot, AnotherLogStartsAfresh) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16))});
  const auto other = Snapshot::Fold(log.snapshot(), {"another", 0, {}});
  EXPECT_THAT(other->Winners(), IsEmpty());
  EXPECT_EQ(other->Token(), "another:0");
}

TEST(Snapshot, TheTokenNamesTheStateOfTheLogAlsoWhereNoWinnerCame) {
  Log log;
  log.Add({WinnerFor(SmallProblem(16))});
  EXPECT_EQ(log->Token(), std::string(kLogId) + ":1");
  log.Add({MeasurementFor(SmallProblem(16))});
  EXPECT_EQ(log->Token(), std::string(kLogId) + ":2");
  EXPECT_EQ(log.Lookup(SmallProblem(16)).tier, Tier::kExact);
}

TEST(Snapshot, WinnersAndDevicesAreInOrder) {
  Log log;
  log.Add({WinnerFor(SmallProblem(64), Fiction200()), WinnerFor(SmallProblem(64)),
           WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(16), Fable75())});
  std::vector<std::string> names;
  for (const auto& winner : log->Winners()) {
    names.push_back(absl::StrFormat("%s %d", winner->device.name, winner->problem.tokens));
  }
  EXPECT_THAT(names,
              ElementsAre("Fable 75 16", "Fiction 100 16", "Fiction 100 64", "Fiction 200 64"));
  EXPECT_THAT(log->Devices(), ElementsAre(Fable75(), Fiction100(), Fiction200()));
}

TEST(Snapshot, ADeviceIsAsItsNewestWinnerDescribesIt) {
  DeviceSpec measured = Fiction100();
  measured.copy_gbps = 3599;
  Log log;
  log.Add({WinnerFor(SmallProblem(16))});
  log.Add({WinnerFor(SmallProblem(32), measured)});
  EXPECT_THAT(log->Devices(), ElementsAre(measured));
}

TEST(StaleReasons, NameWhatDiffersAndSkipWhatIsNotKnown) {
  const Winner winner = WinnerFor(SmallProblem(16));
  EXPECT_THAT(StaleReasons(winner, FictionalEnvironment()), IsEmpty());
  EXPECT_THAT(StaleReasons(winner, {}), IsEmpty());
  EXPECT_THAT(
      StaleReasons(winner, {.driver = "700.1", .nvrtc = "13.1"}),
      ElementsAre("driver 700.1, measured under 600.10", "NVRTC 13.1, measured under 13.0"));
  EXPECT_THAT(StaleReasons(winner, {.kernel_fingerprint = "other"}),
              ElementsAre(HasSubstr("source has changed")));
  Winner estimate = winner;
  estimate.environment.driver = "";
  EXPECT_THAT(StaleReasons(estimate, {.driver = "700.1"}), IsEmpty());
}

TEST(Snapshot, ADefaultIsComputedOnceForADeviceAndKeptAcrossSnapshots) {
  Log log;
  log.Add({});
  const auto first = log.Lookup(SmallProblem(64)).winner;
  EXPECT_EQ(log.Lookup(SmallProblem(64)).winner, first);  // the same row, not an equal one
  log.Add({WinnerFor(SmallProblem(64), Fable75())});
  EXPECT_EQ(log.Lookup(SmallProblem(64)).winner, first);

  DeviceSpec faster = Fiction100();
  faster.read_gbps *= 2;
  EXPECT_EQ(log.Lookup(SmallProblem(64), faster).winner->device, faster);
  EXPECT_EQ(*log.Lookup(SmallProblem(64)).winner, *first);
}

}  // namespace
}  // namespace moetune
