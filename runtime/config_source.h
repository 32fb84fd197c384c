// ConfigSource: where a dispatcher asks for the best config: a database file, or a server.
#ifndef MOETUNE_RUNTIME_CONFIG_SOURCE_H_
#define MOETUNE_RUNTIME_CONFIG_SOURCE_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "db/snapshot.h"

namespace moetune {

// Thread-safe. Not on the launch path: it may read files or wait for the network.
class ConfigSource {
 public:
  virtual ~ConfigSource() = default;
  virtual absl::StatusOr<Choice> Lookup(const Problem& problem, const DeviceSpec& device) = 0;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_CONFIG_SOURCE_H_
