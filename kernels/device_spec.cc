#include "kernels/device_spec.h"

#include <array>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/names.h"

namespace moetune {
namespace {

// A GPU of the data sheets. The sheets' bandwidth and matrix rate are peaks; what is sustained
// follows from the fractions that an H200 was measured to reach (docs/performance.md): it copies
// at 4.3, reads at 4.6 and writes at 3.37 of 4.8 TB/s, and multiplies at 790 of 989 TFLOP/s.
struct DataSheet {
  std::string_view alias;
  std::string_view name;
  int compute_capability;
  int sm_count;
  int l2_mib;
  int memory_gib;
  double bandwidth_gbps;
  double matrix_tflops;  // dense bf16, fp16 where the chip has no bf16
  double fma_tflops;
};
constexpr std::array kDataSheets = {
    DataSheet{"h200", "NVIDIA H200", 90, 132, 60, 141, 4800, 989, 67},
    DataSheet{"h100", "NVIDIA H100 80GB HBM3", 90, 132, 50, 80, 3350, 989, 67},
    DataSheet{"a100", "NVIDIA A100-SXM4-80GB", 80, 108, 40, 80, 2039, 312, 19.5},
    DataSheet{"rtx3090", "NVIDIA GeForce RTX 3090", 86, 82, 6, 24, 936, 71, 35.6},
    DataSheet{"a10", "NVIDIA A10", 86, 72, 6, 24, 600, 125, 31.2},
    DataSheet{"l40s", "NVIDIA L40S", 89, 142, 96, 48, 864, 362, 91.6},
    DataSheet{"rtx4090", "NVIDIA GeForce RTX 4090", 89, 128, 72, 24, 1008, 165, 82.6},
    DataSheet{"t4", "Tesla T4", 75, 40, 4, 16, 320, 65, 8.1},
    DataSheet{"b200", "NVIDIA B200", 100, 148, 126, 180, 8000, 2250, 75},
    DataSheet{"rtx5090", "NVIDIA GeForce RTX 5090", 120, 170, 96, 32, 1792, 210, 104.8},
};
constexpr double kReadFraction = 4.6 / 4.8;
constexpr double kWriteFraction = 3.37 / 4.8;
constexpr double kCopyFraction = 4.3 / 4.8;
constexpr double kMatrixFraction = 790.0 / 989.0;

struct SharedMemory {
  int64_t per_block;
  int64_t per_sm;
};

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
SharedMemory SharedMemoryOf(int compute_capability) {
  switch (compute_capability) {
    case 75:
      return {65536, 65536};
    case 80:
    case 87:
      return {166912, 167936};
    case 90:
    case 100:
    case 103:
      return {232448, 233472};
    default:
      return {101376, 102400};
  }
}

KnownDevice FromSheet(const DataSheet& sheet) {
  const SharedMemory shared = SharedMemoryOf(sheet.compute_capability);
  return {.alias = sheet.alias,
          .spec = {.name = std::string(sheet.name),
                   .compute_capability = sheet.compute_capability,
                   .sm_count = sheet.sm_count,
                   .shared_bytes_per_block = shared.per_block,
                   .shared_bytes_per_sm = shared.per_sm,
                   .l2_bytes = int64_t{sheet.l2_mib} << 20,
                   .memory_bytes = int64_t{sheet.memory_gib} << 30,
                   .read_gbps = sheet.bandwidth_gbps * kReadFraction,
                   .write_gbps = sheet.bandwidth_gbps * kWriteFraction,
                   .copy_gbps = sheet.bandwidth_gbps * kCopyFraction,
                   .matrix_tflops = sheet.matrix_tflops * kMatrixFraction,
                   .fma_tflops = sheet.fma_tflops}};
}

}  // namespace

std::span<const KnownDevice> KnownDevices() {
  static const std::vector<KnownDevice> devices = [] {
    std::vector<KnownDevice> all;
    for (const DataSheet& sheet : kDataSheets) all.push_back(FromSheet(sheet));
    return all;
  }();
  return devices;
}

std::string ArchName(int compute_capability) {
  return absl::StrFormat("sm_%d%s", compute_capability, compute_capability >= 90 ? "a" : "");
}

absl::StatusOr<DeviceSpec> FindKnownDevice(std::string_view name) {
  std::vector<std::string_view> aliases;
  for (const KnownDevice& known : KnownDevices()) {
    const std::string plain = absl::StrFormat("sm_%d", known.spec.compute_capability);
    if (name == known.alias || name == known.spec.name || name == plain ||
        name == ArchName(known.spec.compute_capability)) {
      return known.spec;
    }
    aliases.push_back(known.alias);
  }
  return UnknownName("device", name, aliases);
}

void FillRates(DeviceSpec& device) {
  const DeviceSpec* nearest = nullptr;
  for (const KnownDevice& known : KnownDevices()) {
    const auto distance = [&](const DeviceSpec& spec) {
      return (spec.name == device.name ? 0 : 1000) +
             std::abs(spec.compute_capability - device.compute_capability);
    };
    if (nearest == nullptr || distance(known.spec) < distance(*nearest)) nearest = &known.spec;
  }
  const double scale = nearest->name == device.name || nearest->sm_count == 0
                           ? 1.0
                           : static_cast<double>(device.sm_count) / nearest->sm_count;
  device.read_gbps = nearest->read_gbps * scale;
  device.write_gbps = nearest->write_gbps * scale;
  device.copy_gbps = nearest->copy_gbps * scale;
  device.matrix_tflops = nearest->matrix_tflops * scale;
  device.fma_tflops = nearest->fma_tflops * scale;
}

}  // namespace moetune
