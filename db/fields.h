// The fields of every row, each under the one name that it has in the schema and in the text
// format, in the order of both. A visitor is called as visit(name, field) and overloads on the
// field's type.
#ifndef MOETUNE_DB_FIELDS_H_
#define MOETUNE_DB_FIELDS_H_

#include <algorithm>
#include <concepts>
#include <iterator>
#include <type_traits>

#include "db/record.h"

namespace moetune {

// A Row, const or not: readers fill the fields, writers look at them.
template <typename T, typename Row>
concept Either = std::same_as<std::remove_const_t<T>, Row>;

template <Either<DeviceSpec> T, typename Visitor>
void VisitFields(T& device, Visitor&& visit) {
  visit("name", device.name);
  visit("compute_capability", device.compute_capability);
  visit("sm_count", device.sm_count);
  visit("shared_bytes_per_block", device.shared_bytes_per_block);
  visit("shared_bytes_per_sm", device.shared_bytes_per_sm);
  visit("registers_per_sm", device.registers_per_sm);
  visit("l2_bytes", device.l2_bytes);
  visit("memory_bytes", device.memory_bytes);
  visit("read_gbps", device.read_gbps);
  visit("write_gbps", device.write_gbps);
  visit("copy_gbps", device.copy_gbps);
  visit("matrix_tflops", device.matrix_tflops);
  visit("fma_tflops", device.fma_tflops);
}

template <Either<Environment> T, typename Visitor>
void VisitFields(T& environment, Visitor&& visit) {
  visit("driver", environment.driver);
  visit("nvrtc", environment.nvrtc);
  visit("kernel_fingerprint", environment.kernel_fingerprint);
  visit("policy", environment.policy);
}

template <Either<Measurement> T, typename Visitor>
void VisitFields(T& measurement, Visitor&& visit) {
  visit("sweep", measurement.sweep);
  visit("problem", measurement.problem);
  visit("device", measurement.device);
  visit("environment", measurement.environment);
  visit("family", measurement.family);
  visit("config", measurement.config);
  visit("effort", measurement.effort);
  visit("outcome", measurement.outcome);
  visit("error", measurement.error);
  visit("time_us", measurement.time_us);
  visit("time_us_mad", measurement.time_us_mad);
  visit("samples", measurement.samples);
  visit("compile_ms", measurement.compile_ms);
  visit("cubin_sha256", measurement.cubin_sha256);
  visit("seed", measurement.seed);
  visit("sm_mhz", measurement.clocks.sm_mhz);
  visit("memory_mhz", measurement.clocks.memory_mhz);
  visit("power_watts", measurement.clocks.power_watts);
  visit("temperature_c", measurement.clocks.temperature_c);
  visit("measured_at", measurement.measured_at);
  visit("hot_us", measurement.hot_us);
  visit("sm_clock_mhz", measurement.sm_clock_mhz);
  visit("throttle", measurement.clocks.throttle);
  visit("unsteady_rounds", measurement.unsteady_rounds);
  visit("routing_us", measurement.routing_us);
}

template <Either<Winner> T, typename Visitor>
void VisitFields(T& winner, Visitor&& visit) {
  visit("sweep", winner.sweep);
  visit("problem", winner.problem);
  visit("device", winner.device);
  visit("environment", winner.environment);
  visit("family", winner.family);
  visit("config", winner.config);
  visit("cubin_sha256", winner.cubin_sha256);
  visit("estimated", winner.estimated);
  visit("time_us", winner.time_us);
  visit("time_us_low", winner.time_us_low);
  visit("time_us_high", winner.time_us_high);
  visit("default_family", winner.default_family);
  visit("default_config", winner.default_config);
  visit("default_time_us", winner.default_time_us);
  visit("reason", winner.reason);
  visit("measured_at", winner.measured_at);
}

template <Either<Sweep> T, typename Visitor>
void VisitFields(T& sweep, Visitor&& visit) {
  visit("id", sweep.id);
  visit("state", sweep.state);
  visit("strategy", sweep.strategy);
  visit("seed", sweep.seed);
  visit("spec", sweep.spec);
  visit("host", sweep.host);
  visit("version", sweep.version);
  visit("at", sweep.at);
}

// The version of the text format that a field came with: older texts do not have it.
inline int VersionOfField(std::string_view name) {
  constexpr std::string_view kOfVersion2[] = {"hot_us", "sm_clock_mhz", "throttle",
                                              "unsteady_rounds", "routing_us"};
  return std::ranges::find(kOfVersion2, name) == std::end(kOfVersion2) ? 1 : 2;
}

// The name that a row's enumeration has in text, and back.
inline std::string_view EnumName(Outcome value) { return OutcomeName(value); }
inline std::string_view EnumName(Effort value) { return EffortName(value); }
inline std::string_view EnumName(SweepState value) { return SweepStateName(value); }

template <typename Enum>
requires std::is_enum_v<Enum> absl::StatusOr<Enum> ParseEnum(std::string_view text) {
  if constexpr (std::same_as<Enum, Outcome>) {
    return ParseOutcome(text);
  } else if constexpr (std::same_as<Enum, Effort>) {
    return ParseEffort(text);
  } else {
    static_assert(std::same_as<Enum, SweepState>);
    return ParseSweepState(text);
  }
}

}  // namespace moetune

#endif  // MOETUNE_DB_FIELDS_H_
