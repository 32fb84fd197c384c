#include "proto/address.h"

#include "absl/strings/str_format.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {

std::string Address::Text() const { return absl::StrFormat("%s:%d", host, port); }

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (colon == std::string_view::npos || host.empty() ||
      host.find_first_of(" \t/") != std::string_view::npos ||
      (!bracketed && host.find(':') != std::string_view::npos)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "address '%s' is not HOST:PORT, such as 127.0.0.1:50151 or [::1]:50151", text));
  }
  Address address{.host = std::string(host)};
  ASSIGN_OR_RETURN(const int64_t port, ParseInteger(absl::StrFormat("port of '%s':", text),
                                                    text.substr(colon + 1), 0, 65535));
  address.port = static_cast<int>(port);
  return address;
}

}  // namespace moetune
