// A ConfigSource over a database file (or any store).
#ifndef MOETUNE_RUNTIME_SNAPSHOT_SOURCE_H_
#define MOETUNE_RUNTIME_SNAPSHOT_SOURCE_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/config_source.h"

namespace moetune {

// Opens `location` read-only. Each Lookup first takes in what was appended since the last one.
absl::StatusOr<std::unique_ptr<ConfigSource>> OpenSnapshotSource(std::string_view location);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_SNAPSHOT_SOURCE_H_
