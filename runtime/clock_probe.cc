#include "runtime/clock_probe.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/sha256.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// As in kernels/device/clock_probe.cuh.
struct ClockProbeArgs {
  DeviceAddress readings;
};

constexpr std::string_view kPath = "kernels/device/clock_probe.cuh";

// An idle device spreads them over as many SMs, the same ones as a rule. One would be enough; of
// several the odd one out does not matter.
constexpr size_t kCtas = 8;

using Readings = std::array<ClockReading, kCtas>;

}  // namespace

Source ClockProbeSource() {
  const auto file = std::ranges::find(EmbeddedFiles(), kPath, &EmbeddedFile::path);
  return {.path = kPath, .options = {}, .fingerprint = Sha256Hex(file->text)};
}

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
  const DriverApi& driver = context.driver();
  ClockProbe probe(context);
  ASSIGN_OR_RETURN(probe.readings_, Buffer::Allocate(driver, 2 * sizeof(Readings)));
  RETURN_IF_ERROR(DriverStatus(driver, driver.module_load(&probe.module_, cubin.image.data()),
                               "cannot load the clock probe"));
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.module_function(&probe.function_, probe.module_, "moe_kernel"),
                   "cannot find the entry of the clock probe"));
  return probe;
}

ClockProbe::~ClockProbe() {
  if (module_ != nullptr) context_->driver().module_unload(module_);
}

ClockProbe::ClockProbe(ClockProbe&& other) noexcept
    : context_(other.context_),
      module_(std::exchange(other.module_, nullptr)),
      function_(other.function_),
      readings_(std::move(other.readings_)) {}

absl::Status ClockProbe::Read(size_t place, CUstream_st* stream) const {
  const ClockProbeArgs args = {readings_.address() + place * sizeof(Readings)};
  const Plan plan = {.grid = {kCtas, 1, 1}, .threads = 1};
  return DriverStatus(context_->driver(), context_->driver().launch(function_, plan, &args, stream),
                      "cannot launch the clock probe");
}

absl::StatusOr<double> ClockProbe::SmClock(CUstream_st* stream) const {
  const DriverApi& driver = context_->driver();
  std::array<Readings, 2> readings;
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.stream_synchronize(stream), "cannot wait for the clock probe"));
  RETURN_IF_ERROR(DriverStatus(
      driver, driver.copy_to_host(readings.data(), readings_.address(), sizeof(readings)),
      "cannot read the clock probe"));
  return SmClockMhz(readings[0], readings[1]);
}

}  // namespace moetune
