// devices: the GPUs of this machine, and what their memory gives.
#include <iostream>
#include <optional>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"
#include "runtime/device.h"
#include "tuner/device_rates.h"

namespace moetune {
namespace {

// A GPU with its measured rates, if they were asked for.
struct Described {
  DeviceSpec spec;
  std::optional<DeviceRates> rates;
};

Json RatesJson(const DeviceRates& rates) {
  const auto or_null = [](double value) { return value > 0 ? Json(value) : Json(); };
  return {{"read_gbps", or_null(rates.read_gbps)},
          {"write_gbps", or_null(rates.write_gbps)},
          {"copy_gbps", or_null(rates.copy_gbps)},
          {"launch_us", or_null(rates.launch_us)}};
}

Json DeviceJson(const Described& device, size_t ordinal) {
  const DeviceSpec& spec = device.spec;
  Json json = {{"ordinal", ordinal},
               {"name", spec.name},
               {"arch", ArchName(spec.compute_capability)},
               {"sm_count", spec.sm_count},
               {"shared_bytes_per_block", spec.shared_bytes_per_block},
               {"shared_bytes_per_sm", spec.shared_bytes_per_sm},
               {"registers_per_sm", spec.registers_per_sm},
               {"l2_bytes", spec.l2_bytes},
               {"memory_bytes", spec.memory_bytes},
               {"copy_gbps", spec.copy_gbps},
               {"matrix_tflops", spec.matrix_tflops}};
  if (device.rates) json["measured"] = RatesJson(*device.rates);
  return json;
}

std::vector<std::string> Row(const Described& device, size_t ordinal) {
  const DeviceSpec& spec = device.spec;
  const auto mib = [](int64_t bytes) { return absl::StrFormat("%d MiB", bytes >> 20); };
  return {absl::StrFormat("%d", ordinal),
          spec.name,
          ArchName(spec.compute_capability),
          absl::StrFormat("%d", spec.sm_count),
          absl::StrFormat("%d", spec.shared_bytes_per_block),
          mib(spec.l2_bytes),
          mib(spec.memory_bytes),
          absl::StrFormat("%.0f", spec.copy_gbps),
          absl::StrFormat("%.0f", spec.matrix_tflops)};
}

// The measured rates beside those that are known of the model.
std::string RatesText(const std::vector<Described>& devices) {
  const auto number = [](double value, int decimals) {
    return value > 0 ? absl::StrFormat("%.*f", decimals, value) : "-";
  };
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < devices.size(); ++i) {
    const DeviceSpec& known = devices[i].spec;
    const DeviceRates& rates = *devices[i].rates;
    rows.push_back({absl::StrFormat("%d", i), "measured", number(rates.read_gbps, 0),
                    number(rates.write_gbps, 0), number(rates.copy_gbps, 0),
                    number(rates.launch_us, 2)});
    rows.push_back({absl::StrFormat("%d", i), "known", number(known.read_gbps, 0),
                    number(known.write_gbps, 0), number(known.copy_gbps, 0), "-"});
  }
  return TableText({"device", "rates", "read GB/s", "write GB/s", "copy GB/s", "launch µs"}, rows);
}

absl::StatusOr<std::vector<Described>> DescribeAll(bool measure) {
  std::vector<Described> all;
  const absl::StatusOr<const DriverApi*> driver = OpenDriver();
  if (!driver.ok()) return all;
  ASSIGN_OR_RETURN(const std::vector<DeviceSpec> specs, ListDevices(**driver));
  const absl::StatusOr<const NvrtcApi*> nvrtc = OpenNvrtc();
  for (size_t i = 0; i < specs.size(); ++i) {
    all.push_back({.spec = specs[i]});
    if (!measure) continue;
    ASSIGN_OR_RETURN(const Context context, Context::Acquire(**driver, static_cast<int>(i)));
    ASSIGN_OR_RETURN(all.back().rates, MeasureRates(context, nvrtc.ok() ? *nvrtc : nullptr));
  }
  return all;
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  bool json = false;
  bool measure = false;
  Options options(
      "moetune devices [--measure] [--json]",
      "Lists the GPUs of this machine. Copy rate and matrix rate are those known of the "
      "model: what floors and percentages of the roof are computed with. --measure reads, writes "
      "and copies on each card, to be held against them.");
  options.Flag("measure", &measure, "measure what the memory of each card gives");
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;

  ASSIGN_OR_RETURN(const std::vector<Described> devices, DescribeAll(measure));
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
    if (measure) std::cout << '\n' << RatesText(devices);
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
