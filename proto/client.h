// Client: one typed method per RPC; domain structs in and out.
#ifndef MOETUNE_PROTO_CLIENT_H_
#define MOETUNE_PROTO_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "db/snapshot.h"

namespace moetune {

// What a look-up says besides the choice.
struct Answer {
  Choice choice;
  std::vector<std::string> stale;
  std::string snapshot_token;
};

// Thread-safe. Connects on the first call. Every call has a deadline; a server that cannot be
// reached is Unavailable, one that is too slow DeadlineExceeded, both with its address in the
// message.
class Client {
 public:
  // `server` is HOST:PORT.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      std::string_view server, absl::Duration deadline = absl::Seconds(5));
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // A device with a name but no compute capability is looked up by the server; one without a name
  // stands for the only device that the server has winners for.
  absl::StatusOr<Answer> Lookup(const Problem& problem, const DeviceSpec& device,
                                const Environment& asker);

  // In order, and all from one snapshot; at most 1,000.
  absl::StatusOr<std::vector<Answer>> BatchLookup(const std::vector<Problem>& problems,
                                                  const DeviceSpec& device,
                                                  const Environment& asker);

  // All pages; an empty device name: all devices.
  absl::StatusOr<std::vector<Winner>> ListWinners(std::string_view device_name);

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace moetune

#endif  // MOETUNE_PROTO_CLIENT_H_
