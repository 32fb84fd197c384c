// DeviceSpec: the facts about a GPU that legality, the cost model and look-ups use. Plain data:
// tests invent fictional devices, and `estimate:NAME` takes one from the table of known GPUs.
#ifndef MOETUNE_KERNELS_DEVICE_SPEC_H_
#define MOETUNE_KERNELS_DEVICE_SPEC_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace moetune {

struct DeviceSpec {
  std::string name;            // as the driver says it: "NVIDIA H200"
  int compute_capability = 0;  // 10 * major + minor: 90
  int sm_count = 0;
  int64_t shared_bytes_per_block = 0;  // opt-in limit
  int64_t shared_bytes_per_sm = 0;
  int registers_per_sm = 65536;
  int64_t l2_bytes = 0;
  int64_t memory_bytes = 0;
  double read_gbps = 0;  // sustained, GB/s (1e9)
  double write_gbps = 0;
  double copy_gbps = 0;      // read plus written
  double matrix_tflops = 0;  // dense bf16, sustained
  double fma_tflops = 0;     // fp32 FMA, peak

  bool operator==(const DeviceSpec&) const = default;
};

struct KnownDevice {
  std::string_view alias;  // "h200", and the answer to "sm_90a"
  DeviceSpec spec;
};

// The GPUs whose rates are known, the preferred one of each compute capability first.
std::span<const KnownDevice> KnownDevices();

// By alias ("h200"), driver name ("NVIDIA H200") or architecture ("sm_90a", "sm_90").
absl::StatusOr<DeviceSpec> FindKnownDevice(std::string_view name);

// Fills the rates of a device read from the driver: those of the known device of that name, else
// scaled by SM count from one of the nearest compute capability.
void FillRates(DeviceSpec& device);

// "sm_90a" for 90, "sm_80" for 80: NVRTC's target with every instruction of that chip.
std::string ArchName(int compute_capability);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_SPEC_H_
