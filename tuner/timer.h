// Timer: how long a launch takes, each time with a cold L2. The policy below is all that a time
// depends on besides the kernel; docs/measurement.md tells the same in prose.
#ifndef MOETUNE_TUNER_TIMER_H_
#define MOETUNE_TUNER_TIMER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/clock_probe.h"
#include "runtime/device.h"

namespace moetune {

struct Policy {
  int version = 1;  // raised where times before and after a change are not to be compared

  // Filled before each launch, whichever is larger: what was read last has left the L2 then.
  int64_t flush_bytes = int64_t{256} << 20;
  int flush_l2_times = 4;

  int probe_samples = 3;   // the least of them counts: enough to tell 1.5x from 1x
  int short_samples = 10;  // the median counts
  int final_rounds = 25;   // odd, and more than the 20 that bootstrap intervals need

  // From here on a sample costs much and scatters little.
  double long_us = 2000;
  int long_probe_samples = 2;
  int long_short_samples = 5;
  int long_final_rounds = 9;

  // The idle time after a sample of the final, in units of it: under a power limit a kernel's clock
  // depends on what ran just before.
  double idle_gap = 3;
  double idle_us = 0;       // and so much more
  int64_t idle_tokens = 0;  // for problems of at least so many tokens

  // The back-to-back time of a final. Three rounds of one launch untimed and four timed: 15
  // launches beside the 100 that 25 rounds with their gaps take. No part of Text(): they come after
  // the cold samples, which do not depend on them.
  int hot_rounds = 3;
  int hot_launches = 4;
  int long_hot_launches = 2;

  // How often a round of a final is measured again when the reasons to throttle changed in it; then
  // it is kept, and the row says so: what changes four times running is how the card is. No part of
  // Text() either: a sample of a retake is a sample like others.
  int max_retakes = 3;

  // Part of the identity of a measurement, in Environment.policy.
  std::string Text() const;

  bool IsLong(double time_us) const { return time_us > long_us; }
};

// `policy` with the pauses that stood between the samples when other libraries were timed: none
// below 4096 tokens, from there on 10 ms and three times the kernel.
Policy AsPeersWereTimed(Policy policy);

// A candidate that is this far behind the best is not measured further: no later stage has ever
// made up for it. Short kernels, whose launch is a good part of their time, get more room.
bool IsHopeless(double time_us, double best_us);

// Enqueues one launch.
using Enqueue = std::function<absl::Status()>;

class Timer {
 public:
  // Works on `stream`, which is borrowed; the context is current.
  static absl::StatusOr<Timer> Create(const Context& context, CUstream_st* stream,
                                      const Policy& policy);

  const Policy& policy() const { return policy_; }

  // One cold launch, in µs. `clock` is read before and after it, outside of what is timed.
  absl::StatusOr<double> Sample(const Enqueue& launch, const ClockProbe* clock = nullptr);

  // The SM clock during the last sample with this probe, in MHz; 0: unknown.
  absl::StatusOr<double> SmClock(const ClockProbe& clock) const { return clock.SmClock(stream_); }

  // One of `launches` that follow one another, in µs. One more runs ahead of them, untimed: what it
  // leaves in the L2 is what each of them finds.
  absl::StatusOr<double> SampleHot(const Enqueue& launch, int launches);

  // Few samples, no more once hopeless beside `best_us` (0: none known). `before` each of them.
  // `verified_us`, a sample of the launch that was verified, is the first where it is long: what
  // only a first launch does is nothing beside it.
  absl::StatusOr<std::vector<double>> Probe(const Enqueue& launch, double verified_us,
                                            double best_us, const std::function<void()>& before);

 private:
  // Enqueues a fill of the L2, which runs for tens of microseconds: by its end all that follows is
  // enqueued, so no time of the host lies between the events.
  absl::Status Flush();

  Timer(const Context& context, CUstream_st* stream, const Policy& policy, Buffer flush,
        Event start, Event end);

  const DriverApi* driver_;
  CUstream_st* stream_;
  Policy policy_;
  Buffer flush_;
  Event start_, end_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_TIMER_H_
