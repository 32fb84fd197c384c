#include "proto/field_path.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"

namespace moetune {
namespace {

constexpr char kPayload[] = "moetune.v1/field_path";

}  // namespace

absl::Status WithFieldPath(absl::Status status, std::string_view path) {
  if (!status.ok() && !path.empty() && !status.GetPayload(kPayload).has_value()) {
    status.SetPayload(kPayload, absl::Cord(std::string(path)));
  }
  return status;
}

std::string FieldPath(const absl::Status& status) {
  const auto path = status.GetPayload(kPayload);
  return path.has_value() ? std::string(*path) : std::string();
}

std::string JoinPath(std::string_view parent, std::string_view field) {
  if (parent.empty() || field.empty()) return std::string(parent) + std::string(field);
  return absl::StrFormat("%s.%s", parent, field);
}

}  // namespace moetune
