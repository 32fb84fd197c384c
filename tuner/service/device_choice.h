// Which device a look-up is about, when it is given by a name or not at all.
#ifndef MOETUNE_TUNER_SERVICE_DEVICE_CHOICE_H_
#define MOETUNE_TUNER_SERVICE_DEVICE_CHOICE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "db/snapshot.h"
#include "kernels/device_spec.h"

namespace moetune {

// By the name of a device that `snapshot` has winners for, else as FindKnownDevice takes it
// ("h200"). An empty name: the only device with winners. The error lists the devices that would do.
absl::StatusOr<DeviceSpec> ChooseDevice(std::string_view name, const Snapshot& snapshot);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SERVICE_DEVICE_CHOICE_H_
