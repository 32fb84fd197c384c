// What a sweep makes of what the store holds already: its own earlier trials, and what won like
// problems.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tuner/sweep_fixture.h"
#include "tuner/random.h"

namespace moetune {
namespace {

TEST_F(SweepTest, ASecondRunTakesEverythingFromTheStore) {
  const std::vector<Winner> first = Run({problem_, SmallProblem(65)});
  const std::vector<Winner> second = Run({problem_, SmallProblem(65)}, {.seed = 99});
  EXPECT_EQ(second, first);
  EXPECT_EQ(recorder_.measured, 0);
  EXPECT_EQ(recorder_.winners_recalled, 2);
  EXPECT_TRUE(evaluator_.calls.empty());
}

TEST_F(SweepTest, AFreshRunMeasuresEverythingAgain) {
  Run({problem_});
  Run({problem_}, {.fresh = true});
  EXPECT_EQ(recorder_.recalled, 0);
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), ranked_.size());
}

TEST_F(SweepTest, ANewDriverMakesTheStoredRowsStrangers) {
  Run({problem_});
  evaluator_.driver = "2.0";
  Run({problem_});
  EXPECT_EQ(recorder_.recalled, 0);
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), ranked_.size());
}

TEST_F(SweepTest, ALargerBudgetGoesOnWhereTheSmallerEnded) {
  Run({problem_}, {.budget = 10});
  Run({problem_}, {.budget = 15});
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), 5u);
  EXPECT_EQ(evaluator_.Measured(Effort::kFinal).size() > 0, true) << "with a final of its own";
}

TEST_F(SweepTest, ASecondSearchThatLearnsTakesTheSameStepsFromTheStore) {
  const SweepOptions options = {.strategy = "auto", .budget = 20};
  const std::vector<Problem> problems = {problem_, SmallProblem(65)};
  const std::vector<Winner> first = Run(problems, options);
  EXPECT_EQ(Run(problems, options), first);
  EXPECT_EQ(recorder_.recalled, 40);
  EXPECT_TRUE(evaluator_.calls.empty());
}

TEST_F(SweepTest, TrialsOfAnotherSearchMayWinToo) {
  const Candidate& best = ranked_[3];
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == best ? 50.0 : 100.0;
  };
  Run({problem_}, {.budget = 4});
  const std::vector<Winner> winners = Run({problem_}, {.strategy = "random", .budget = 2});
  EXPECT_EQ(winners[0].config, best.config);
}

TEST_F(SweepTest, WhatWonTheNearestProblemsIsTriedFirst) {
  const std::vector<Problem> tuned = {SmallProblem(32), SmallProblem(1024),
                                      ProblemOf("forward/bf16/gather/e8/t64x2/n1024/k512/softmax")};
  evaluator_.time_us = [&](const Problem& problem, const Candidate& candidate) {
    for (size_t i = 0; i < tuned.size(); ++i) {
      if (problem == tuned[i] && candidate == ranked_[ranked_.size() - 1 - i]) return 10.0;
    }
    return 100.0;
  };
  ASSERT_EQ(Run(tuned).size(), 3u);
  Run({problem_}, {.strategy = "random", .budget = 5});
  const std::vector<Candidate> tried = evaluator_.Measured(Effort::kProbe);
  ASSERT_EQ(tried.size(), 5u);
  EXPECT_EQ(tried[0], ranked_[0]) << "the default";
  EXPECT_EQ(tried[1], ranked_[ranked_.size() - 1]) << "t32 lies nearer than t1024";
  EXPECT_EQ(tried[2], ranked_[ranked_.size() - 2]);
  EXPECT_NE(tried[3], ranked_[ranked_.size() - 3]) << "another problem altogether";
}

TEST_F(SweepTest, ASearchThatLearnsDoesNotGuessAheadOfKernelsThatAreThere) {
  size_t most_ahead = 0;
  evaluator_.time_us = [&](const Problem&, const Candidate&) {
    const size_t probed = evaluator_.Measured(Effort::kProbe).size();
    most_ahead = std::max(most_ahead, evaluator_.prepared.size() - probed);
    return 100.0;
  };
  const SweepOptions options = {.strategy = "auto", .look_ahead = 8};
  Run({problem_}, options);
  EXPECT_EQ(most_ahead, 7u);
  Run({problem_});  // all that is left
  most_ahead = 0;
  evaluator_.prepared.clear();
  Run({SmallProblem(65)}, options);  // whose kernels are the same
  EXPECT_LE(most_ahead, 1u) << "the default, and what won the first problem";
}

class SweepResumeTest : public SweepTest, public ::testing::WithParamInterface<StrategyEntry> {};

// Killed after every number of calls in turn, then run again: nothing is lost, nothing stands
// twice, and the winner is that of a run which nobody killed.
TEST_P(SweepResumeTest, ASweepKilledAnywhereResumes) {
  const SweepOptions options = {
      .strategy = std::string(GetParam().name), .budget = 20, .look_ahead = 4, .finalists = 4};
  evaluator_.scatter = 0.02;
  evaluator_.outcome = [](const Problem& problem, const Candidate& candidate) {
    const bool second = problem.tokens == 65;  // where more fails than in the first
    return candidate.config.Get("block_k") == 32 &&
                   candidate.config.Get("block_m") <= 32 + 32 * second
               ? Outcome::kTimeout
               : Outcome::kOk;
  };
  std::vector<Problem> problems = {problem_, SmallProblem(65)};
  problems[1].routing.kinds = kSoftmax | kZipf;
  const std::vector<Winner> expected = Run(problems, options);
  const int trials = static_cast<int>(Stored().size());
  const auto calls = static_cast<int>(evaluator_.calls.size());
  for (int killed_after = 0; killed_after <= calls; ++killed_after) {
    store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
    evaluator_.calls.clear();
    // Compiles end in another order each time.
    evaluator_.compiled_first = [&, random = Random{static_cast<uint64_t>(killed_after)}](
                                    std::span<const Candidate> candidates) mutable {
      return random.Below(candidates.size());
    };
    evaluator_.failure = [&](const Problem&, Effort) -> absl::Status {
      if (static_cast<int>(evaluator_.calls.size()) <= killed_after) return absl::OkStatus();
      return absl::AbortedError("killed");
    };
    RunSweep(problems, options, *store_, evaluator_, recorder_).status().IgnoreError();
    evaluator_.failure = nullptr;
    const std::vector<Winner> winners = Run(problems, options);
    ASSERT_EQ(winners.size(), expected.size());
    for (size_t i = 0; i < winners.size(); ++i) {
      EXPECT_EQ(winners[i].config, expected[i].config) << killed_after;
      EXPECT_EQ(winners[i].time_us, expected[i].time_us) << killed_after;
    }
    EXPECT_EQ(static_cast<int>(Stored().size()), trials) << killed_after;
    EXPECT_EQ(MostRowsOfOneTrial(), 1) << killed_after;
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, SweepResumeTest,
                         ::testing::ValuesIn(Strategies().begin(), Strategies().end()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace moetune
