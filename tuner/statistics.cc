#include "tuner/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tuner/random.h"

namespace moetune {
namespace {

// Leaves 25 medians in each 2.5 % tail.
constexpr int kResamples = 1000;

double MedianInPlace(std::vector<double>& values) {
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + middle, values.end());
  if (values.size() % 2 == 1) return values[middle];
  return 0.5 * (values[middle] + *std::max_element(values.begin(), values.begin() + middle));
}

}  // namespace

double Median(std::span<const double> samples) {
  std::vector<double> values(samples.begin(), samples.end());
  return MedianInPlace(values);
}

double MedianAbsoluteDeviation(std::span<const double> samples) {
  const double median = Median(samples);
  std::vector<double> distances;
  for (double sample : samples) distances.push_back(std::abs(sample - median));
  return MedianInPlace(distances);
}

double GeometricMean(std::span<const double> values) {
  double product = 1;
  for (double value : values) product *= value;
  return std::pow(product, 1.0 / static_cast<double>(values.size()));
}

Interval MedianInterval(std::span<const double> samples, uint64_t seed) {
  Random random{seed, samples.size()};
  std::vector<double> medians, resample(samples.size());
  for (int i = 0; i < kResamples; ++i) {
    for (double& value : resample) value = samples[random.Below(samples.size())];
    medians.push_back(MedianInPlace(resample));
  }
  std::sort(medians.begin(), medians.end());
  const int tail = kResamples / 40;
  return {medians[tail], Median(samples), medians[kResamples - 1 - tail]};
}

Interval PairedRatio(std::span<const double> numerator, std::span<const double> denominator,
                     uint64_t seed) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(numerator.size(), denominator.size()); ++i) {
    ratios.push_back(numerator[i] / denominator[i]);
  }
  return MedianInterval(ratios, seed);
}

}  // namespace moetune
