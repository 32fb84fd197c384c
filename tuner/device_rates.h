// DeviceRates: what the memory of this very card gives, measured.
#ifndef MOETUNE_TUNER_DEVICE_RATES_H_
#define MOETUNE_TUNER_DEVICE_RATES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "runtime/device.h"
#include "runtime/nvrtc.h"
#include "tuner/timer.h"

namespace moetune {

struct DeviceRates {
  double read_gbps = 0;  // GB/s (1e9); 0: not measured
  double write_gbps = 0;
  double copy_gbps = 0;  // read plus written
  double launch_us = 0;  // of an empty kernel, timed as any other; 0: not measured

  bool operator==(const DeviceRates&) const = default;
};

// On `bytes` of memory each way, far more than any L2 and less where the device is small; the
// median of nine samples. The context is current. Without `nvrtc` what needs a kernel is not
// measured.
absl::StatusOr<DeviceRates> MeasureRates(const Context& context, const NvrtcApi* nvrtc,
                                         const Policy& policy = {},
                                         int64_t bytes = int64_t{4} << 30);

}  // namespace moetune

#endif  // MOETUNE_TUNER_DEVICE_RATES_H_
