// What each call of ConfigService does, as functions of one snapshot: no server, no threads, no
// gRPC. Errors carry the path of the request field that they are about (proto/field_path.h).
#ifndef MOETUNE_TUNER_SERVICE_CONFIG_HANDLERS_H_
#define MOETUNE_TUNER_SERVICE_CONFIG_HANDLERS_H_

#include <functional>

#include "absl/status/status.h"
#include "db/snapshot.h"
#include "moetune/v1/config_service.pb.h"

namespace moetune {

inline constexpr int kMaxBatch = 1000;
inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1000;

absl::Status HandleLookup(const Snapshot& snapshot, const v1::LookupRequest& request,
                          v1::LookupResponse& response);

// All answers or none: the first request that has no answer fails the batch. So does `cancelled`,
// where it says true: nobody waits any more.
absl::Status HandleBatchLookup(
    const Snapshot& snapshot, const v1::BatchLookupRequest& request,
    v1::BatchLookupResponse& response,
    const std::function<bool()>& cancelled = [] { return false; });

// A page token names the last winner of its page, so that pages go on rightly when winners are
// added in between: none that stood throughout is left out or comes twice.
absl::Status HandleListWinners(const Snapshot& snapshot, const v1::ListWinnersRequest& request,
                               v1::ListWinnersResponse& response);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SERVICE_CONFIG_HANDLERS_H_
