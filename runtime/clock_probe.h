// ClockProbe: at which clock the SMs ran while a launch did, by their own count. NVML tells the
// clock of a moment, and not in time for a kernel of microseconds.
#ifndef MOETUNE_RUNTIME_CLOCK_PROBE_H_
#define MOETUNE_RUNTIME_CLOCK_PROBE_H_

#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/compiler.h"
#include "runtime/device.h"
#include "runtime/probe_kernel.h"

namespace moetune {

// As in kernels/device/clock_probe.cuh.
struct ClockReading {
  uint64_t cycles = 0;
  uint64_t nanoseconds = 0;
  uint64_t sm = 0;
};

// kernels/device/clock_probe.cuh.
Source ClockProbeSource();

// The median over the SMs that stand in both readings, in MHz; 0 when none does, or no time passed.
double SmClockMhz(std::span<const ClockReading> before, std::span<const ClockReading> after);

class ClockProbe {
 public:
  // Loads into the current context, which is borrowed. `cubin` is of ClockProbeSource.
  static absl::StatusOr<ClockProbe> Load(const Context& context, const Cubin& cubin);

  // Enqueue the reading before what is measured, and the one after it: each a few CTAs of one
  // thread, which write less than a kilobyte.
  absl::Status Begin(CUstream_st* stream) const { return Read(0, stream); }
  absl::Status End(CUstream_st* stream) const { return Read(1, stream); }

  // Waits for the stream. The SM clock between the last Begin and End, in MHz; 0: unknown.
  absl::StatusOr<double> SmClock(CUstream_st* stream) const;

 private:
  ClockProbe(ProbeKernel kernel, Buffer readings)
      : kernel_(std::move(kernel)), readings_(std::move(readings)) {}
  absl::Status Read(size_t place, CUstream_st* stream) const;

  ProbeKernel kernel_;
  Buffer readings_;  // before, then after
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_CLOCK_PROBE_H_
