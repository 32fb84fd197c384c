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
  EXPECT_EQ(likely[2], ranked_[1]) << "then the order of the cost model";
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
