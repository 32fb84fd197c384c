// Space: the parameters of a family and the values each may take. Which combinations are legal for
// a problem on a device is the family's one predicate (family.h).
#ifndef MOETUNE_KERNELS_SPACE_H_
#define MOETUNE_KERNELS_SPACE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/config.h"

namespace moetune {

struct Family;
struct Problem;
struct DeviceSpec;

struct Parameter {
  std::string name;
  std::string meaning;                 // one line, with the unit
  std::vector<Config::Values> values;  // in ascending order
  bool at_launch = false;  // given at launch: configs that differ in it alone share a kernel
};

struct Space {
  std::vector<Parameter> parameters;  // sorted by name
};

// OK exactly when `config` names each parameter of the family's space once, with one of its values,
// and the family can run it for `problem` on `device`. The message says which rule it breaks.
absl::Status CheckLegal(const Family& family, const Problem& problem, const Config& config,
                        const DeviceSpec& device);
bool IsLegal(const Family& family, const Problem& problem, const Config& config,
             const DeviceSpec& device);

// Every legal config, in the lexical order of the space's values.
std::vector<Config> EnumerateLegal(const Family& family, const Problem& problem,
                                   const DeviceSpec& device);

// What of a config its kernel is compiled for: all but the parameters that are given at launch.
Config CompiledPart(const Family& family, const Config& config);

// The legal configs that differ from `config` in one parameter, by one step of its values.
std::vector<Config> Neighbours(const Family& family, const Problem& problem, const Config& config,
                               const DeviceSpec& device);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_SPACE_H_
