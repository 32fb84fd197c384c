#include "tuner/strategies/gaussian_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace moetune {
namespace {

// 8 x 8 x 2, in the order of a, then b, then c.
std::vector<Candidate> Cube() {
  std::vector<Candidate> candidates;
  for (int64_t a = 1; a <= 128; a *= 2) {
    for (int64_t b = 1; b <= 128; b *= 2) {
      for (int64_t c : {1, 2}) candidates.push_back({.config = {{"a", a}, {"b", b}, {"c", c}}});
    }
  }
  return candidates;
}

std::vector<uint32_t> All(const Grid& grid) {
  std::vector<uint32_t> all(grid.size());
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

double SmoothInA(size_t candidate) { return std::sin(static_cast<double>(candidate / 16)); }

class GaussianProcessTest : public ::testing::Test {
 protected:
  const std::vector<Candidate> candidates_ = Cube();
  const Grid grid_{candidates_};
  GaussianProcess process_{grid_, 128, 64};
};

TEST_F(GaussianProcessTest, RepeatsWhatItWasToldAndIsSureOfIt) {
  Kernel kernel = PriorKernel(grid_);
  kernel.log_noise = -9;
  process_.Reset(kernel);
  process_.AddToPool(All(grid_));
  for (size_t place = 0; place < 128; place += 9) process_.Learn(place, SmoothInA(place));
  const GaussianProcess::Scale scale = process_.ResponseScale();
  for (size_t place = 0; place < 128; place += 9) {
    EXPECT_NEAR(process_.Mean(scale, place), SmoothInA(place), 0.01);
    EXPECT_LT(process_.Deviation(scale, place), 0.2 * scale.deviation);
    EXPECT_GT(process_.Deviation(scale, place + 1), process_.Deviation(scale, place));
  }
}

TEST_F(GaussianProcessTest, IsTheSameInWhateverOrderItLearns) {
  const auto predict = [&](bool backwards, bool pool_first) {
    process_.Reset(PriorKernel(grid_));
    process_.AddToPool(pool_first ? All(grid_) : std::vector<uint32_t>{3, 50, 77, 100});
    std::vector<size_t> told = {3, 50, 77, 100};
    if (backwards) std::reverse(told.begin(), told.end());
    for (size_t candidate : told) process_.Learn(*process_.PlaceInPool(candidate), 9);  // corrected
    for (size_t candidate : told) {
      process_.Learn(*process_.PlaceInPool(candidate), SmoothInA(candidate));
    }
    process_.AddToPool(All(grid_));
    const GaussianProcess::Scale scale = process_.ResponseScale();
    std::vector<float> predictions;
    for (size_t i = 0; i < grid_.size(); ++i) {
      const size_t place = *process_.PlaceInPool(i);
      predictions.push_back(process_.Mean(scale, place));
      predictions.push_back(process_.Deviation(scale, place));
    }
    return predictions;
  };
  const std::vector<float> expected = predict(false, true);
  EXPECT_THAT(predict(true, true), ::testing::Pointwise(::testing::FloatNear(1e-4f), expected));
  EXPECT_THAT(predict(true, false), ::testing::Pointwise(::testing::FloatNear(1e-4f), expected));
}

TEST_F(GaussianProcessTest, LearnsWhichDimensionMatters) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < 128; i += 3) samples.push_back({i, SmoothInA(i)});
  const Kernel kernel = FitKernel(grid_, samples, PriorKernel(grid_));
  EXPECT_GT(kernel.log_rates[0], kernel.log_rates[1] + 1);
  EXPECT_GT(kernel.log_rates[0], kernel.log_rates[2] + 1);
}

TEST_F(GaussianProcessTest, HoldsNoMoreThanItsRoom) {
  GaussianProcess small(grid_, 10, 2);
  small.Reset(PriorKernel(grid_));
  small.AddToPool(All(grid_));
  EXPECT_EQ(small.pool().size(), 10u);
  EXPECT_EQ(small.PlaceInPool(10), std::nullopt);
  small.Learn(0, 1);
  EXPECT_FALSE(small.IsFull());
  small.Learn(1, 2);
  EXPECT_TRUE(small.IsFull());
  EXPECT_TRUE(small.Knows(1));
  EXPECT_FALSE(small.Knows(2));
}

TEST_F(GaussianProcessTest, EqualResponsesArePredictedEverywhere) {
  process_.Reset(PriorKernel(grid_));
  process_.AddToPool(All(grid_));
  process_.Learn(0, 5);
  process_.Learn(1, 5);
  const GaussianProcess::Scale scale = process_.ResponseScale();
  EXPECT_NEAR(process_.Mean(scale, 100), 5, 1e-4);
  EXPECT_GT(process_.Deviation(scale, 100), 0);
  EXPECT_LT(process_.Deviation(scale, 100), 1e-3);
}

}  // namespace
}  // namespace moetune
