// HOST:PORT, as servers and clients are told it.
#ifndef MOETUNE_PROTO_ADDRESS_H_
#define MOETUNE_PROTO_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace moetune {

struct Address {
  std::string host;  // a name, an IPv4 address, or an IPv6 address in brackets
  int port = 0;

  std::string Text() const;  // "127.0.0.1:50151"
  bool operator==(const Address&) const = default;
};

// Both parts must stand there: gRPC would take a missing port for 443. Port 0 is legal: to listen
// on it is to have one picked.
absl::StatusOr<Address> ParseAddress(std::string_view text);

}  // namespace moetune

#endif  // MOETUNE_PROTO_ADDRESS_H_
