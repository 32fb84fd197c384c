// Rounds: launches that are timed interleaved, with the state of the card beside the samples.
#ifndef MOETUNE_TUNER_ROUNDS_H_
#define MOETUNE_TUNER_ROUNDS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/clock_probe.h"
#include "tuner/timer.h"

namespace moetune {

struct RoundOptions {
  int rounds = 0;
  bool idle = false;  // with the policy's pause after each sample
  uint64_t seed = 0;

  // Told the index of each launch first; after an error the one told last is to blame.
  std::function<void(size_t)> before = [](size_t) {};

  // The reasons for which the clock is held down now (runtime/nvml.h); empty: nobody watches. A
  // round after which they are others than they were after the one before it is measured again.
  std::function<uint32_t()> throttling = {};
  const ClockProbe* clock = nullptr;  // beside each sample; null: none
};

struct Rounds {
  std::vector<std::vector<double>> samples_us;  // [launch][round]
  std::vector<double> sm_clock_mhz;             // of each launch the median; 0: unknown
  uint32_t throttling = 0;                      // every reason that was seen
  int unsteady = 0;                             // rounds kept although the reasons changed
};

// Every round samples each launch once, in an order drawn anew.
absl::StatusOr<Rounds> Interleave(Timer& timer, std::span<const Enqueue> launches,
                                  const RoundOptions& options);

}  // namespace moetune

#endif  // MOETUNE_TUNER_ROUNDS_H_
