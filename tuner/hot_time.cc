#include "tuner/hot_time.h"

#include "kernels/status_macros.h"
#include "tuner/random.h"
#include "tuner/statistics.h"

namespace moetune {

absl::StatusOr<std::vector<double>> HotTimes(Timer& timer, std::span<const Enqueue> launches,
                                             bool is_long, uint64_t seed,
                                             const std::function<void(size_t)>& before) {
  const Policy& policy = timer.policy();
  const int count = is_long ? policy.long_hot_launches : policy.hot_launches;
  std::vector<std::vector<double>> samples(launches.size());
  RandomOrder order(launches.size(), seed);
  for (int round = 0; round < policy.hot_rounds; ++round) {
    for (const size_t i : order.Next()) {
      before(i);
      ASSIGN_OR_RETURN(const double sample, timer.SampleHot(launches[i], count));
      samples[i].push_back(sample);
    }
  }
  std::vector<double> times;
  for (const std::vector<double>& of_launch : samples) times.push_back(Median(of_launch));
  return times;
}

}  // namespace moetune
