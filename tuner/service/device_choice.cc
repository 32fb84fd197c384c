#include "tuner/service/device_choice.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/names.h"

namespace moetune {
namespace {

const DeviceSpec* FindByName(const std::vector<DeviceSpec>& devices, std::string_view name) {
  const auto found = std::ranges::find(devices, name, &DeviceSpec::name);
  return found == devices.end() ? nullptr : &*found;
}

absl::StatusOr<DeviceSpec> OnlyDevice(const std::vector<DeviceSpec>& devices) {
  if (devices.size() == 1) return devices.front();
  if (devices.empty()) {
    return absl::FailedPreconditionError(
        "no device was named, and there are no winners yet to take one from");
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "no device was named, and there are winners for several: %s",
      absl::StrJoin(devices, ", ",
                    [](std::string* out, const DeviceSpec& device) { out->append(device.name); })));
}

}  // namespace

absl::StatusOr<DeviceSpec> ChooseDevice(std::string_view name, const Snapshot& snapshot) {
  const std::vector<DeviceSpec> devices = snapshot.Devices();
  if (name.empty()) return OnlyDevice(devices);
  if (name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a device name has at most %d bytes, not %d", kMaxNameBytes, name.size()));
  }
  if (const DeviceSpec* device = FindByName(devices, name)) return *device;
  if (const absl::StatusOr<DeviceSpec> known = FindKnownDevice(name); known.ok()) {
    // The rows were measured on such a device: its facts as the driver told them go first.
    const DeviceSpec* device = FindByName(devices, known->name);
    return device != nullptr ? *device : *known;
  }
  std::vector<std::string_view> names;
  for (const DeviceSpec& device : devices) names.push_back(device.name);
  for (const KnownDevice& known : KnownDevices()) names.push_back(known.alias);
  return UnknownName("device", name, names);
}

}  // namespace moetune
