#include "tuner/foresight.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tuner/sweep_fixture.h"

namespace moetune {
namespace {

class ForesightTest : public SweepTest {
 protected:
  std::vector<Candidate> Likely(const SweepOptions& options) {
    const ScanResult scan = store_->Scan(0).value();
    return LikelyTrials(problem_, options, **FindStrategy(options.strategy), evaluator_,
                        SweepHistory(scan.records, evaluator_));
  }
};

TEST_F(ForesightTest, TheTrialsOfASearchThatDoesNotLearnAreForeseenExactly) {
  for (const char* strategy : {"exhaustive", "random"}) {
    const SweepOptions options = {.strategy = strategy, .budget = 12, .seed = 3};
    store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
    const std::vector<Candidate> likely = Likely(options);
    EXPECT_EQ(likely.size(), 12u);
    Run({problem_}, options);
    for (const Candidate& candidate : evaluator_.Measured(Effort::kProbe)) {
      EXPECT_NE(std::ranges::find(likely, candidate), likely.end()) << strategy;
    }
    EXPECT_TRUE(Likely(options).empty()) << "what was tried is not foreseen again";
  }
}

TEST_F(ForesightTest, OfASearchThatLearnsTheDefaultComesFirstAndThenWhatWonLikeProblems) {
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == ranked_.back() ? 10.0 : 100.0;
  };
  Run({SmallProblem(65)});
  const std::vector<Candidate> likely = Likely({.strategy = "auto"});
  ASSERT_GT(likely.size(), 2u);
  EXPECT_EQ(likely[0], ranked_[0]);
  EXPECT_EQ(likely[1], ranked_.back());
  EXPECT_EQ(likely.size(), ranked_.size());
}

TEST_F(ForesightTest, WhatASearchThatLearnsBeginsWithIsForeseenExactly) {
  for (const char* strategy : {"local", "genetic", "auto"}) {
    const SweepOptions options = {.strategy = strategy, .seed = 7, .look_ahead = 8};
    store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
    const std::vector<Candidate> likely = Likely(options);
    std::vector<Candidate> begun;
    evaluator_.prepared.clear();
    evaluator_.outcome = [&](const Problem&, const Candidate&) {
      if (begun.empty()) begun = evaluator_.prepared;
      return Outcome::kOk;
    };
    Run({problem_}, options);
    ASSERT_EQ(begun.size(), 8u);
    EXPECT_TRUE(std::ranges::equal(begun, std::span(likely).first(8))) << strategy;
  }
}

class ForesightLog : public FakeEvaluator {
 public:
  void Foresee(const Problem& problem, std::span<const Candidate> candidates) override {
    calls.push_back({problem, {candidates.begin(), candidates.end()}, Effort::kProbe});
    FakeEvaluator::Foresee(problem, candidates);
  }
};

TEST_F(ForesightTest, WhatNothingCanBeTimedWithoutIsForeseenOfEveryProblemFirst) {
  const std::vector<Problem> problems = {problem_, SmallProblem(65), SmallProblem(66)};
  const SweepOptions options = {.strategy = "auto", .look_ahead = 8};
  ForesightLog log;
  const SweepHistory history({}, log);
  {
    const Foresight foresight(problems, options, **FindStrategy("auto"), history, log);
    ASSERT_FALSE(log.AwaitForeseen(problems.back(), ranked_.size()).empty());
  }
  ASSERT_EQ(log.calls.size(), 9u);
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<Candidate>& first = log.calls[i].candidates;
    EXPECT_EQ(log.calls[i].problem, problems[i]);
    EXPECT_EQ(first[0], log.Ranked(problems[i])[0]);
    EXPECT_EQ(first.size(), 3u) << "one of each family, whose base it takes";
    EXPECT_EQ(log.calls[3 + i].candidates.size(), 8u) << "before the rest of any";
  }
}

TEST_F(ForesightTest, WhileOneProblemIsTimedTheKernelsOfTheOthersAreForeseen) {
  Problem other = SmallProblem(64);
  other.shape.fusions |= kGather;
  evaluator_.outcome = [&](const Problem& problem, const Candidate&) {
    if (problem == problem_) {
      const std::vector<Candidate> foreseen = evaluator_.AwaitForeseen(other, 2);
      EXPECT_FALSE(foreseen.empty()) << "before the first problem's first trial has ended";
    }
    return Outcome::kOk;
  };
  Run({problem_, other}, {.strategy = "auto", .budget = 3});
}

}  // namespace
}  // namespace moetune
