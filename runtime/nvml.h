// What NVML says of a GPU's state, by dlopen with declarations of our own. Without NVML every
// answer is "unknown": nothing depends on it.
#ifndef MOETUNE_RUNTIME_NVML_H_
#define MOETUNE_RUNTIME_NVML_H_

#include <cstdint>
#include <string>

#include "db/clocks.h"

namespace moetune {

// The kernel driver's version, "580.159.04"; empty when unknown.
std::string DriverVersionText();

// Clocks, power and temperature of a device now; zeros where unknown. `throttle` is left empty.
Clocks ReadClocks(int ordinal);

// The reasons for which the clock of a device is held down now, as bits of NVML: power, heat and
// other distress, but not that it idles or that somebody set its clocks. 0: none, or unknown.
uint32_t ReadThrottling(int ordinal);

// "power_cap+hot"; empty for none.
std::string ThrottleText(uint32_t reasons);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_NVML_H_
