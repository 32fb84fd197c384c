// The request field that an error is about, by its path: "requests[3].problem.top_k".
#ifndef MOETUNE_PROTO_FIELD_PATH_H_
#define MOETUNE_PROTO_FIELD_PATH_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace moetune {

// Attaches the path; on the wire it is a BadRequest field violation (proto/grpc_status.h). A status
// that has a path keeps it: the innermost is the most precise. OK stays OK.
absl::Status WithFieldPath(absl::Status status, std::string_view path);

std::string FieldPath(const absl::Status& status);  // empty when none

// "problem" and "top_k" make "problem.top_k"; where one is empty the other stands alone.
std::string JoinPath(std::string_view parent, std::string_view field);

}  // namespace moetune

#endif  // MOETUNE_PROTO_FIELD_PATH_H_
