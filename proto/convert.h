// The only code between domain structs and messages. ToProto never fails; FromProto validates and
// names the field that is wrong by its path (proto/field_path.h): `path` is the place of the
// message itself in what was received, empty for the outermost.
#ifndef MOETUNE_PROTO_CONVERT_H_
#define MOETUNE_PROTO_CONVERT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "db/snapshot.h"
#include "moetune/v1/config_service.pb.h"

namespace moetune {

v1::Problem ToProto(const Problem& problem);
v1::Device ToProto(const DeviceSpec& device);
v1::Environment ToProto(const Environment& environment);
v1::Winner ToProto(const Winner& winner);
v1::LookupResponse ToProto(const Choice& choice, const Environment& asker,
                           std::string_view snapshot_token);

absl::StatusOr<Problem> FromProto(const v1::Problem& problem, std::string_view path);
absl::StatusOr<DeviceSpec> FromProto(const v1::Device& device, std::string_view path);
Environment FromProto(const v1::Environment& environment);
absl::StatusOr<Winner> FromProto(const v1::Winner& winner, std::string_view path);
absl::StatusOr<Choice> FromProto(const v1::LookupResponse& response, std::string_view path);

}  // namespace moetune

#endif  // MOETUNE_PROTO_CONVERT_H_
