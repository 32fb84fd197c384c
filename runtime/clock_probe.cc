#include "runtime/clock_probe.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "kernels/status_macros.h"

namespace moetune {
namespace {

// As in kernels/device/clock_probe.cuh.
struct ClockProbeArgs {
  DeviceAddress readings;
};

// An idle device spreads them over as many SMs, the same ones as a rule. One would be enough; of
// several the odd one out does not matter.
constexpr size_t kCtas = 8;

using Readings = std::array<ClockReading, kCtas>;

}  // namespace

Source ClockProbeSource() { return PlainSource("kernels/device/clock_probe.cuh"); }

double SmClockMhz(std::span<const ClockReading> before, std::span<const ClockReading> after) {
  std::vector<double> clocks;
  for (const ClockReading& from : before) {
    const auto to = std::ranges::find(after, from.sm, &ClockReading::sm);
    if (to == after.end() || to->nanoseconds <= from.nanoseconds) continue;
    const auto cycles = static_cast<double>(to->cycles - from.cycles);
    clocks.push_back(1e3 * cycles / static_cast<double>(to->nanoseconds - from.nanoseconds));
  }
  if (clocks.empty()) return 0;
  const auto middle = clocks.begin() + static_cast<std::ptrdiff_t>(clocks.size() / 2);
  std::ranges::nth_element(clocks, middle);
  return *middle;
}

absl::StatusOr<ClockProbe> ClockProbe::Load(const Context& context, const Cubin& cubin) {
  ASSIGN_OR_RETURN(ProbeKernel kernel, ProbeKernel::Load(context, cubin, "clock probe"));
  ASSIGN_OR_RETURN(Buffer readings, Buffer::Allocate(context.driver(), 2 * sizeof(Readings)));
  return ClockProbe(std::move(kernel), std::move(readings));
}

absl::Status ClockProbe::Read(size_t place, CUstream_st* stream) const {
  const ClockProbeArgs args = {readings_.address() + place * sizeof(Readings)};
  return kernel_.Launch({.grid = {kCtas, 1, 1}, .threads = 1}, &args, stream);
}

absl::StatusOr<double> ClockProbe::SmClock(CUstream_st* stream) const {
  const DriverApi& driver = kernel_.context().driver();
  std::array<Readings, 2> readings;
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.stream_synchronize(stream), "cannot wait for the clock probe"));
  RETURN_IF_ERROR(DriverStatus(
      driver, driver.copy_to_host(readings.data(), readings_.address(), sizeof(readings)),
      "cannot read the clock probe"));
  return SmClockMhz(readings[0], readings[1]);
}

}  // namespace moetune
