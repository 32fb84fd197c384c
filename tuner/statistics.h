// What is said of samples: medians, spread, and how sure one may be of a difference.
#ifndef MOETUNE_TUNER_STATISTICS_H_
#define MOETUNE_TUNER_STATISTICS_H_

#include <cstdint>
#include <span>

namespace moetune {

// The middle value, or the mean of the two middle ones. Samples are not empty.
double Median(std::span<const double> samples);

// The median distance from the median.
double MedianAbsoluteDeviation(std::span<const double> samples);

// Of positive values, not empty; of one value that value.
double GeometricMean(std::span<const double> values);

struct Interval {
  double low = 0;
  double middle = 0;
  double high = 0;
};

// The median with its 95 % bootstrap interval. Deterministic in `seed`.
Interval MedianInterval(std::span<const double> samples, uint64_t seed);

// The median over rounds of numerator[i] / denominator[i], with its 95 % bootstrap interval: rounds
// are drawn whole, so what both candidates of a round suffered together cancels out.
Interval PairedRatio(std::span<const double> numerator, std::span<const double> denominator,
                     uint64_t seed);

}  // namespace moetune

#endif  // MOETUNE_TUNER_STATISTICS_H_
