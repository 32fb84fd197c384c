#include "tuner/rounds.h"

#include "absl/time/clock.h"
#include "kernels/status_macros.h"
#include "tuner/random.h"
#include "tuner/statistics.h"

namespace moetune {
namespace {

// One round: of each launch, at its index.
struct Round {
  std::vector<double> samples_us;
  std::vector<double> sm_clock_mhz;
};

absl::StatusOr<Round> SampleRound(Timer& timer, std::span<const Enqueue> launches,
                                  std::span<const size_t> order, const RoundOptions& options) {
  const Policy& policy = timer.policy();
  Round round = {std::vector<double>(launches.size()), std::vector<double>(launches.size())};
  for (const size_t i : order) {
    options.before(i);
    ASSIGN_OR_RETURN(round.samples_us[i], timer.Sample(launches[i], options.clock));
    if (options.clock != nullptr) {
      ASSIGN_OR_RETURN(round.sm_clock_mhz[i], timer.SmClock(*options.clock));
    }
    if (!options.idle) continue;
    absl::SleepFor(absl::Microseconds(policy.idle_us + policy.idle_gap * round.samples_us[i]));
  }
  return round;
}

// The median of those that are known.
double KnownMedian(std::vector<double> clocks) {
  std::erase(clocks, 0);
  return clocks.empty() ? 0 : Median(clocks);
}

}  // namespace

absl::StatusOr<Rounds> Interleave(Timer& timer, std::span<const Enqueue> launches,
                                  const RoundOptions& options) {
  const auto reasons = [&] { return options.throttling ? options.throttling() : 0; };
  Rounds rounds = {.samples_us = std::vector<std::vector<double>>(launches.size())};
  std::vector<std::vector<double>> clocks(launches.size());
  RandomOrder random(launches.size(), options.seed);
  uint32_t last = reasons();
  for (int i = 0; i < options.rounds; ++i) {
    const std::span<const size_t> order = random.Next();
    Round round;
    bool steady = false;
    for (int retakes = 0; !steady && retakes <= timer.policy().max_retakes; ++retakes) {
      ASSIGN_OR_RETURN(round, SampleRound(timer, launches, order, options));
      const uint32_t now = reasons();
      steady = now == last;
      rounds.throttling |= now;
      last = now;
    }
    if (!steady) ++rounds.unsteady;
    for (size_t launch = 0; launch < launches.size(); ++launch) {
      rounds.samples_us[launch].push_back(round.samples_us[launch]);
      clocks[launch].push_back(round.sm_clock_mhz[launch]);
    }
  }
  for (std::vector<double>& of_launch : clocks) {
    rounds.sm_clock_mhz.push_back(KnownMedian(std::move(of_launch)));
  }
  return rounds;
}

}  // namespace moetune
