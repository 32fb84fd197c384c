#include "tuner/sweep_history.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/registry.h"
#include "tests/testing/fake_evaluator.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

const Problem kProblem = SmallProblem(64);
const Candidate kCandidate = {Families()[0], ReferenceConfig(64)};
const Candidate kSecond = {Families()[0], ReferenceConfig(32)};

class SweepHistoryTest : public ::testing::Test {
 protected:
  Measurement Trial(const Candidate& candidate, Effort effort = Effort::kProbe,
                    Outcome outcome = Outcome::kOk) const {
    Measurement m = MeasurementFor(kProblem, evaluator_.spec);
    m.environment = evaluator_.EnvironmentOf(*candidate.family);
    m.config = candidate.config;
    m.effort = effort;
    m.outcome = outcome;
    m.time_us = outcome == Outcome::kOk ? 42 : 0;
    return m;
  }

  Winner Won(const Candidate& candidate) const {
    Winner winner = WinnerFor(kProblem, evaluator_.spec);
    winner.environment = evaluator_.EnvironmentOf(*candidate.family);
    winner.config = candidate.config;
    return winner;
  }

  SweepHistory Of(const std::vector<std::variant<Measurement, Winner, Sweep>>& rows) const {
    std::vector<Record> records;
    for (const auto& row : rows) {
      records.push_back(NewRecord(row));
      records.back().sequence = static_cast<int64_t>(records.size());
    }
    return SweepHistory(records, evaluator_);
  }

  FakeEvaluator evaluator_;
};

TEST_F(SweepHistoryTest, KnowsWhatWasMeasuredHereWithAnySeed) {
  Measurement trial = Trial(kCandidate);
  trial.seed = 77;
  const SweepHistory history = Of({trial});
  const KnownTrial* known = history.Find(kProblem, kCandidate);
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->measurement.time_us, 42);
  EXPECT_EQ(history.Find(kProblem, kSecond), nullptr);
  EXPECT_EQ(history.Find(SmallProblem(65), kCandidate), nullptr);
}

TEST_F(SweepHistoryTest, ALaterLookWithoutTheFirstIsNoTrial) {
  EXPECT_EQ(Of({Trial(kCandidate, Effort::kFinal)}).Find(kProblem, kCandidate), nullptr);
  EXPECT_EQ(Of({Trial(kCandidate, Effort::kShort)}).Find(kProblem, kCandidate), nullptr);
}

TEST_F(SweepHistoryTest, WinnersNearAreThoseOfTheNearestProblemsOfWhateverDevice) {
  Winner far = Won(kCandidate);
  far.problem = SmallProblem(1024);
  Winner near = Won(kSecond);
  near.problem = SmallProblem(128);
  near.device = Fable75();
  Winner estimated = Won({Families()[0], ReferenceConfig(16)});
  estimated.estimated = true;
  Winner other = Won({Families()[0], ReferenceConfig(128)});
  other.problem = ProblemOf("forward/bf16/gather/e8/t64x2/n1024/k512/softmax");
  const SweepHistory history = Of({far, near, near, estimated, other});
  EXPECT_EQ(history.WinnersNear(kProblem, 8), (std::vector<Candidate>{kSecond, kCandidate}));
  EXPECT_EQ(history.WinnersNear(kProblem, 1), (std::vector<Candidate>{kSecond}));
}

TEST_F(SweepHistoryTest, WhatCameAfterAProblemsFirstTrialIsNoHelpToIt) {
  const SweepHistory history = Of({Trial(kCandidate), Trial(kSecond), Won(kSecond)});
  EXPECT_TRUE(history.WinnersNear(kProblem, 8).empty());
  EXPECT_FALSE(history.CompiledBefore(kProblem, kSecond));
  EXPECT_EQ(history.WinnersNear(SmallProblem(65), 8), (std::vector<Candidate>{kSecond}));
  EXPECT_TRUE(history.CompiledBefore(SmallProblem(65), kSecond));
  EXPECT_FALSE(history.CompiledBefore(ProblemOf("forward/bf16/gather/e8/t64x2/n1024/k512/softmax"),
                                      kSecond));
}

TEST_F(SweepHistoryTest, RowsOfOtherDevicesAndEnvironmentsDoNotCount) {
  Measurement elsewhere = Trial(kCandidate);
  elsewhere.device = Fiction200();
  EXPECT_EQ(Of({elsewhere}).Find(kProblem, kCandidate), nullptr);
  for (const auto field : {&Environment::driver, &Environment::nvrtc,
                           &Environment::kernel_fingerprint, &Environment::policy}) {
    Measurement other = Trial(kCandidate);
    other.environment.*field = "another";
    EXPECT_EQ(Of({other}).Find(kProblem, kCandidate), nullptr);
  }
}

TEST_F(SweepHistoryTest, AKernelThatFailedOnceHasFailedForEveryProblemOfItsKind) {
  const SweepHistory history = Of({Trial(kCandidate, Effort::kProbe, Outcome::kFault)});
  EXPECT_TRUE(history.Failed(kProblem.shape, kCandidate));
  Shape larger = kProblem.shape;
  larger.n *= 2;
  EXPECT_TRUE(history.Failed(larger, kCandidate)) << "the same cubin";
  Shape gathered = kProblem.shape;
  gathered.fusions = kGather;
  EXPECT_FALSE(history.Failed(gathered, kCandidate)) << "another cubin";
  EXPECT_FALSE(history.Failed(kProblem.shape, kSecond));
}

TEST_F(SweepHistoryTest, AKernelIsKnownByEveryConfigThatSharesItButEachFailsByItself) {
  const Candidate one = {FindFamily("sm80_mma").value(), MmaConfig(1)};
  const Candidate other = {one.family, MmaConfig(8)};
  Measurement failed = Trial(one, Effort::kProbe, Outcome::kWrongResult);
  failed.family = one.family->name;
  SweepHistory history = Of({});
  history.Add(failed);
  for (const Candidate& candidate : {one, other}) {
    EXPECT_TRUE(history.Knows(kProblem.shape, candidate));
    EXPECT_TRUE(history.CompiledBefore(SmallProblem(65), candidate));
    EXPECT_FALSE(history.CompiledBefore(kProblem, candidate)) << "for this one itself";
  }
  EXPECT_TRUE(history.Failed(kProblem.shape, one));
  EXPECT_FALSE(history.Failed(kProblem.shape, other));
}

TEST_F(SweepHistoryTest, TheShortTimeStandsBesideTheProbe) {
  Measurement shorter = Trial(kCandidate, Effort::kShort);
  shorter.time_us = 40;
  Measurement final = Trial(kCandidate, Effort::kFinal);
  final.time_us = 39;
  const SweepHistory history = Of({Trial(kCandidate), shorter, final});
  EXPECT_EQ(history.Find(kProblem, kCandidate)->measurement.time_us, 42);
  EXPECT_EQ(history.Find(kProblem, kCandidate)->short_us, 40);
}

TEST_F(SweepHistoryTest, AWinnerStandsUntilATrialComesAfterIt) {
  EXPECT_NE(Of({Trial(kCandidate), Won(kCandidate)}).StandingWinner(kProblem), nullptr);
  EXPECT_EQ(Of({Won(kCandidate), Trial(kSecond)}).StandingWinner(kProblem), nullptr);
  EXPECT_EQ(Of({Trial(kCandidate)}).StandingWinner(kProblem), nullptr);
}

TEST_F(SweepHistoryTest, AWinnerWhoseKernelFailedElsewhereDoesNotStand) {
  Measurement failure = Trial(kCandidate, Effort::kProbe, Outcome::kWrongResult);
  failure.problem = SmallProblem(128);
  EXPECT_EQ(Of({Trial(kCandidate), Won(kCandidate), failure}).StandingWinner(kProblem), nullptr);
}

}  // namespace
}  // namespace moetune
