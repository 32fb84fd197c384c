// In which order a sweep compiles and times, and what does not depend on it.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/tuner/sweep_fixture.h"

namespace moetune {
namespace {

TEST_F(SweepTest, CompilesRunAheadOfTheTrials) {
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    if (candidate == ranked_[0]) {
      EXPECT_GE(evaluator_.prepared.size(), 8u);
    }
    return Outcome::kOk;
  };
  Run({problem_}, {.look_ahead = 8});
  EXPECT_EQ(evaluator_.prepared.size(), ranked_.size()) << "each once";
}

TEST_F(SweepTest, WhatIsCompiledFirstIsTimedFirst) {
  evaluator_.compiled_first = [](std::span<const Candidate> candidates) {
    return candidates.size() - 1;
  };
  Run({problem_}, {.budget = 12, .look_ahead = 4});
  std::vector<Candidate> probed = evaluator_.Measured(Effort::kProbe);
  EXPECT_EQ(probed[0], ranked_[3]) << "of the four that compile";
  EXPECT_EQ(probed[1], ranked_[2]);
  EXPECT_EQ(probed.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_NE(std::ranges::find(probed, ranked_[i]), probed.end()) << "none beyond the budget";
  }
}

TEST_F(SweepTest, ASearchTakesTheSameStepsWhicheverKernelIsCompiledFirst) {
  evaluator_.time_us = [](const Problem&, const Candidate& candidate) {
    return 100.0 + static_cast<double>(std::hash<std::string>()(candidate.config.Text()) % 20);
  };
  const auto by_text = [](const Candidate& a, const Candidate& b) {
    return a.config.Text() < b.config.Text();
  };
  for (const StrategyEntry& strategy : Strategies()) {
    const SweepOptions options = {
        .strategy = std::string(strategy.name), .budget = 30, .look_ahead = 6};
    std::vector<Candidate> probed[2];
    for (const bool backwards : {false, true}) {
      evaluator_.compiled_first = [=](std::span<const Candidate> candidates) {
        return backwards ? candidates.size() - 1 : 0;
      };
      store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
      Run({problem_, SmallProblem(65)}, options);
      probed[backwards] = evaluator_.Measured(Effort::kProbe);
      EXPECT_EQ(recorder_.measured, static_cast<int>(Stored().size()));
      EXPECT_EQ(recorder_.recalled, 0);
    }
    EXPECT_NE(probed[0], probed[1]) << strategy.name;
    std::ranges::sort(probed[0], by_text);
    std::ranges::sort(probed[1], by_text);
    EXPECT_EQ(probed[0], probed[1]) << strategy.name;
  }
}

}  // namespace
}  // namespace moetune
