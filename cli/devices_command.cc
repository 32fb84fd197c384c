// devices: the GPUs of this machine.
#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"
#include "runtime/device.h"

namespace moetune {
namespace {

Json DeviceJson(const DeviceSpec& device, size_t ordinal) {
  return {{"ordinal", ordinal},
          {"name", device.name},
          {"arch", ArchName(device.compute_capability)},
          {"sm_count", device.sm_count},
          {"shared_bytes_per_block", device.shared_bytes_per_block},
          {"shared_bytes_per_sm", device.shared_bytes_per_sm},
          {"registers_per_sm", device.registers_per_sm},
          {"l2_bytes", device.l2_bytes},
          {"memory_bytes", device.memory_bytes},
          {"copy_gbps", device.copy_gbps},
          {"matrix_tflops", device.matrix_tflops}};
}

std::vector<std::string> Row(const DeviceSpec& device, size_t ordinal) {
  const auto mib = [](int64_t bytes) { return absl::StrFormat("%d MiB", bytes >> 20); };
  return {absl::StrFormat("%d", ordinal),
          device.name,
          ArchName(device.compute_capability),
          absl::StrFormat("%d", device.sm_count),
          absl::StrFormat("%d", device.shared_bytes_per_block),
          mib(device.l2_bytes),
          mib(device.memory_bytes),
          absl::StrFormat("%.0f", device.copy_gbps),
          absl::StrFormat("%.0f", device.matrix_tflops)};
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  bool json = false;
  Options options(
      "moetune devices [--json]",
      "Lists the GPUs of this machine. Copy rate and matrix rate are those known of the "
      "model, not measured on the card.");
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;

  std::vector<DeviceSpec> devices;
  if (const absl::StatusOr<const DriverApi*> driver = OpenDriver(); driver.ok()) {
    ASSIGN_OR_RETURN(devices, ListDevices(**driver));
  }
  if (json) {
    Json list = Json::array();
    for (size_t i = 0; i < devices.size(); ++i) list.push_back(DeviceJson(devices[i], i));
    std::cout << JsonText(list);
  } else if (devices.empty()) {
    std::cout << "no CUDA device\n";
  } else {
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < devices.size(); ++i) rows.push_back(Row(devices[i], i));
    std::cout << TableText({"device", "name", "arch", "SMs", "shared bytes", "L2", "memory",
                            "copy GB/s", "matrix TFLOP/s"},
                           rows);
  }
  return kExitOk;
}

}  // namespace

extern const Command kDevicesCommand;
const Command kDevicesCommand = {
    .name = "devices",
    .summary = "the GPUs of this machine",
    .run = Run,
};

}  // namespace moetune
