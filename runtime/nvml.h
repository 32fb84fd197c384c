// What NVML says of a GPU's state, by dlopen with declarations of our own. Without NVML every
// answer is "unknown": nothing depends on it.
#ifndef MOETUNE_RUNTIME_NVML_H_
#define MOETUNE_RUNTIME_NVML_H_

#include <string>

#include "db/record.h"

namespace moetune {

// The kernel driver's version, "580.159.04"; empty when unknown.
std::string DriverVersionText();

// Clocks, power and temperature of a device now; zeros where unknown.
Clocks ReadClocks(int ordinal);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_NVML_H_
