// absl::Status <-> grpc::Status: the one place where errors cross the wire. Their codes are equal,
// and a field path (proto/field_path.h) travels as a BadRequest field violation in
// grpc-status-details-bin, wire-compatible with google.rpc.Status.
#ifndef MOETUNE_PROTO_GRPC_STATUS_H_
#define MOETUNE_PROTO_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace moetune {

// Messages longer than 1,000 bytes are cut: a status travels in trailers, which are limited to 8
// KB.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace moetune

#endif  // MOETUNE_PROTO_GRPC_STATUS_H_
