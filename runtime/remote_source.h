// A ConfigSource over a running `moetune serve`. Its own library, so that gRPC stays optional.
#ifndef MOETUNE_RUNTIME_REMOTE_SOURCE_H_
#define MOETUNE_RUNTIME_REMOTE_SOURCE_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/config_source.h"

namespace moetune {

// "HOST:PORT". Does not wait for the server: a Lookup while it cannot be reached is Unavailable.
absl::StatusOr<std::unique_ptr<ConfigSource>> OpenRemoteSource(std::string_view server);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_REMOTE_SOURCE_H_
