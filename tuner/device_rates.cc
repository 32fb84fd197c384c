#include "tuner/device_rates.h"

#include <algorithm>
#include <vector>

#include "kernels/status_macros.h"
#include "runtime/read_probe.h"
#include "tuner/statistics.h"

namespace moetune {
namespace {

constexpr int kSamples = 9;
constexpr int64_t kMemoryParts = 8;  // a buffer takes at most one of them
constexpr int64_t kAlignment = 256;

absl::StatusOr<double> MedianUs(Timer& timer, const Enqueue& launch) {
  std::vector<double> samples;
  for (int i = 0; i <= kSamples; ++i) {
    ASSIGN_OR_RETURN(const double sample, timer.Sample(launch));
    if (i > 0) samples.push_back(sample);  // the first only warms up
  }
  return Median(samples);
}

}  // namespace

absl::StatusOr<DeviceRates> MeasureRates(const Context& context, const NvrtcApi* nvrtc,
                                         const Policy& policy, int64_t bytes) {
  const DriverApi& driver = context.driver();
  bytes = std::min(bytes, context.device().memory_bytes / kMemoryParts) / kAlignment * kAlignment;
  const auto size = static_cast<size_t>(bytes);
  ASSIGN_OR_RETURN(const Stream stream, Stream::Create(driver));
  ASSIGN_OR_RETURN(Timer timer, Timer::Create(context, stream.get(), policy));
  ASSIGN_OR_RETURN(const Buffer source, Buffer::Allocate(driver, size));
  ASSIGN_OR_RETURN(const Buffer target, Buffer::Allocate(driver, size));
  const auto gbps = [&](double us) { return static_cast<double>(bytes) / us / 1e3; };

  DeviceRates rates;
  ASSIGN_OR_RETURN(const double write_us, MedianUs(timer, [&] {
                     return DriverStatus(driver,
                                         driver.fill(source.address(), 1, size, stream.get()),
                                         "cannot fill device memory");
                   }));
  rates.write_gbps = gbps(write_us);
  ASSIGN_OR_RETURN(
      const double copy_us, MedianUs(timer, [&] {
        return DriverStatus(
            driver, driver.copy_on_device(target.address(), source.address(), size, stream.get()),
            "cannot copy device memory");
      }));
  rates.copy_gbps = 2 * gbps(copy_us);
  if (nvrtc == nullptr) return rates;

  ASSIGN_OR_RETURN(const ReadProbe probe, ReadProbe::Load(context, *nvrtc));
  ASSIGN_OR_RETURN(const double read_us,
                   MedianUs(timer, [&] { return probe.Launch(source, bytes, stream.get()); }));
  rates.read_gbps = gbps(read_us);
  ASSIGN_OR_RETURN(rates.launch_us,
                   MedianUs(timer, [&] { return probe.Launch(source, 0, stream.get()); }));
  return rates;
}

}  // namespace moetune
