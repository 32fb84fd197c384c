#include "tuner/statistics.h"

#include <gtest/gtest.h>

#include <vector>

#include "tuner/random.h"

namespace moetune {
namespace {

TEST(Statistics, TheMedianOfAnEvenNumberIsTheMeanOfTheMiddleTwo) {
  EXPECT_DOUBLE_EQ(Median(std::vector<double>{5, 1, 3}), 3);
  EXPECT_DOUBLE_EQ(Median(std::vector<double>{4, 1, 3, 100}), 3.5);
  EXPECT_DOUBLE_EQ(Median(std::vector<double>{7}), 7);
}

TEST(Statistics, OneOutlierDoesNotMoveTheSpread) {
  EXPECT_DOUBLE_EQ(MedianAbsoluteDeviation(std::vector<double>{1, 2, 3, 4, 5}), 1);
  EXPECT_DOUBLE_EQ(MedianAbsoluteDeviation(std::vector<double>{1, 2, 3, 4, 5000}), 1);
}

std::vector<double> Noisy(double middle, double deviation, int count, uint64_t seed) {
  Random random{seed};
  std::vector<double> samples;
  for (int i = 0; i < count; ++i) samples.push_back(middle * (1 + deviation * random.Normal()));
  return samples;
}

TEST(Statistics, TheIntervalHoldsTheTruthMostOfTheTime) {
  int held = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Interval interval = MedianInterval(Noisy(100, 0.05, 25, seed), seed);
    EXPECT_LE(interval.low, interval.middle);
    EXPECT_LE(interval.middle, interval.high);
    held += interval.low <= 100 && 100 <= interval.high;
  }
  EXPECT_GE(held, 85);
}

TEST(Statistics, TheIntervalIsTheSameForTheSameSeed) {
  const std::vector<double> samples = Noisy(100, 0.05, 25, 1);
  EXPECT_EQ(MedianInterval(samples, 3).low, MedianInterval(samples, 3).low);
}

// Rounds in which the card ran at half its clock hide nothing, since both candidates stood in them.
TEST(Statistics, NoiseThatBothShareCancelsOut) {
  std::vector<double> slow, fast;
  Random random{1};
  for (int round = 0; round < 25; ++round) {
    const double clock = 1 + random.Uniform();
    slow.push_back(104 * clock);
    fast.push_back(100 * clock);
  }
  const Interval ratio = PairedRatio(slow, fast, 1);
  EXPECT_NEAR(ratio.low, 1.04, 1e-9);
  EXPECT_NEAR(ratio.high, 1.04, 1e-9);
  EXPECT_GT(MedianInterval(slow, 1).high, 1.2 * MedianInterval(slow, 1).low);
}

TEST(Random, UniformNumbersAreEven) {
  Random random{1, 2};
  std::vector<int> counts(10);
  for (int i = 0; i < 100000; ++i) ++counts[random.Below(10)];
  for (int count : counts) EXPECT_NEAR(count, 10000, 500);
}

TEST(Random, NormalNumbersHaveMeanZeroAndDeviationOne) {
  Random random{7};
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double value = random.Normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / 100000, 0, 0.02);
  EXPECT_NEAR(squares / 100000, 1, 0.02);
}

TEST(Random, EveryWordOfAStreamsNameCounts) {
  EXPECT_NE((Random{1, 2}.Next()), (Random{2, 1}.Next()));
  EXPECT_NE((Random{1, 2}.Next()), (Random{1}.Next()));
  EXPECT_EQ((Random{1, 2}.Next()), (Random{1, 2}.Next()));
}

TEST(Statistics, TheGeometricMeanOfOneValueIsThatValue) {
  EXPECT_EQ(GeometricMean(std::vector<double>{0.1}), 0.1);
  EXPECT_NEAR(GeometricMean(std::vector<double>{2, 4, 8}), 4, 1e-12);
}

}  // namespace
}  // namespace moetune
