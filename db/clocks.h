// Clocks: how a card did while it was measured.
#ifndef MOETUNE_DB_CLOCKS_H_
#define MOETUNE_DB_CLOCKS_H_

#include <string>

namespace moetune {

// State of the card beside the samples, from NVML; zero where unknown.
struct Clocks {
  int sm_mhz = 0;
  int memory_mhz = 0;
  double power_watts = 0;
  int temperature_c = 0;
  std::string throttle;  // why the clock was held down, "power_cap+hot"; empty: it was not
  bool operator==(const Clocks&) const = default;
};

}  // namespace moetune

#endif  // MOETUNE_DB_CLOCKS_H_
