#include "tuner/strategies/speed_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace moetune {
namespace {

// 16 x 16, in the order of a, then b.
std::vector<Candidate> Square() {
  std::vector<Candidate> candidates;
  for (int64_t a = 1; a <= 16; ++a) {
    for (int64_t b = 1; b <= 16; ++b) candidates.push_back({.config = {{"a", a}, {"b", b}}});
  }
  return candidates;
}

class SpeedModelTest : public ::testing::Test {
 protected:
  static double Speed(size_t candidate) { return 1 + static_cast<double>(candidate / 16); }  // = a

  void Rebuild(const std::vector<SpeedModel::Trial>& trials) {
    std::vector<uint32_t> all(grid_.size());
    std::iota(all.begin(), all.end(), 0u);
    model_.Rebuild(trials, all, random_);
  }

  // By candidate.
  std::vector<double> Gains(double best_speed) {
    std::vector<double> gains;
    model_.ExpectedGains(best_speed, gains);
    std::vector<double> by_candidate(grid_.size());
    for (size_t i = 0; i < gains.size(); ++i) by_candidate[model_.pool()[i]] = gains[i];
    return by_candidate;
  }

  const std::vector<Candidate> candidates_ = Square();
  const Grid grid_{candidates_};
  SpeedModel model_{grid_};
  Random random_{1};
};

TEST_F(SpeedModelTest, ExpectsToGainWhereTheFastAre) {
  std::vector<SpeedModel::Trial> trials;
  for (size_t i = 0; i < 192; i += 7) trials.push_back({i, Speed(i)});
  Rebuild(trials);
  const std::vector<double> gains = Gains(12);
  const auto best = std::ranges::max_element(gains) - gains.begin();
  EXPECT_GE(Speed(static_cast<size_t>(best)), 12);
  EXPECT_LT(gains[1], 0.01 * gains[static_cast<size_t>(best)]) << "among the slow";
}

TEST_F(SpeedModelTest, WhatIsKnownOrAssumedPromisesLess) {
  std::vector<SpeedModel::Trial> trials;
  for (size_t i = 0; i < 192; i += 7) trials.push_back({i, Speed(i)});
  Rebuild(trials);
  const std::vector<double> before = Gains(12);
  model_.Assume(250);
  const std::vector<double> assumed = Gains(12);
  EXPECT_LT(assumed[250], 0.9 * before[250]);
  EXPECT_LT(assumed[251], before[251]) << "its neighbour";
  ASSERT_TRUE(model_.Learn({250, 2}));
  EXPECT_LT(Gains(12)[251], 0.9 * assumed[251]) << "it is slow";
}

TEST_F(SpeedModelTest, ExpectsNothingOfWhatFails) {
  std::vector<SpeedModel::Trial> trials;
  for (size_t i = 0; i < 256; i += 5) {
    trials.push_back({i, i % 16 < 8 ? Speed(i) : 0});  // half of the values of b
  }
  Rebuild(trials);
  const std::vector<double> gains = Gains(16);
  EXPECT_LT(gains[254], 0.2 * gains[242]);  // a = 16 in both
}

TEST_F(SpeedModelTest, IsToBeRebuiltAtTheFirstFailureAndWhereItIsFull) {
  Rebuild({{0, 1}, {100, 2}});
  EXPECT_TRUE(model_.Learn({7, 1}));
  EXPECT_FALSE(model_.Learn({8, 0}));
  Rebuild({{0, 1}, {100, 2}, {7, 1}, {8, 0}});
  EXPECT_TRUE(model_.Learn({9, 0}));
  std::vector<SpeedModel::Trial> few = {{0, 1}, {100, 2}};
  model_.Rebuild(few, {}, random_);
  EXPECT_FALSE(model_.Learn({7, 1})) << "not in the pool";
}

TEST_F(SpeedModelTest, TakesMoreTrialsThanItHasRoomFor) {
  std::vector<Candidate> many;
  for (int64_t a = 1; a <= 3000; ++a) many.push_back({.config = {{"a", a}}});
  const Grid grid(many);
  SpeedModel model(grid);
  std::vector<SpeedModel::Trial> trials;
  for (size_t i = 0; i < 1000; ++i) trials.push_back({i, i % 3 == 0 ? 0 : 1 + 1.0 * i});
  std::vector<uint32_t> pool(3000);
  std::iota(pool.begin(), pool.end(), 0u);
  model.Rebuild(trials, pool, random_);
  EXPECT_LT(model.pool().size(), 3000u);
  const auto fastest = std::ranges::find(model.pool(), 998u);
  EXPECT_NE(fastest, model.pool().end()) << "the fastest are always among what it learns from";
  size_t learnt = 0;
  for (uint32_t i = 1000; i < 2000 && model.Learn({i, 1}); ++i) ++learnt;
  EXPECT_GT(learnt, 20u);
  EXPECT_LT(learnt, 500u);
}

}  // namespace
}  // namespace moetune
