#include "proto/grpc_status.h"

#include <string>
#include <string_view>

#include "moetune/v1/error_details.pb.h"
#include "proto/field_path.h"

namespace moetune {
namespace {

constexpr size_t kMaxMessageBytes = 1000;
constexpr std::string_view kBadRequestType = "type.googleapis.com/google.rpc.BadRequest";

// At most kMaxMessageBytes, cut between two characters of UTF-8.
std::string Shortened(std::string_view text) {
  if (text.size() <= kMaxMessageBytes) return std::string(text);
  constexpr std::string_view kEllipsis = "...";
  size_t end = kMaxMessageBytes - kEllipsis.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)).append(kEllipsis);
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status();
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message =
      Shortened(std::string_view(status.message().data(), status.message().size()));
  const std::string path = FieldPath(status);
  if (path.empty()) return grpc::Status(code, message);

  v1::BadRequest bad_request;
  v1::BadRequest::FieldViolation& violation = *bad_request.add_field_violations();
  violation.set_field(path);
  violation.set_description(message);
  v1::ErrorStatus details;
  details.set_code(code);
  details.set_message(message);
  google::protobuf::Any& any = *details.add_details();
  any.set_type_url(std::string(kBadRequestType));
  any.set_value(bad_request.SerializeAsString());
  return grpc::Status(code, message, details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const absl::Status plain(static_cast<absl::StatusCode>(status.error_code()),
                           status.error_message());
  v1::ErrorStatus details;
  if (!details.ParseFromString(status.error_details())) return plain;
  for (const google::protobuf::Any& any : details.details()) {
    v1::BadRequest bad_request;
    if (any.type_url() == kBadRequestType && bad_request.ParseFromString(any.value()) &&
        bad_request.field_violations_size() > 0) {
      return WithFieldPath(plain, bad_request.field_violations(0).field());
    }
  }
  return plain;
}

}  // namespace moetune
