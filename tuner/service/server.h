// The gRPC server: listens, keeps the snapshot fresh, and stops cleanly. The services it carries
// stand in their own files beside it; grpc.health.v1 and server reflection come with it.
#ifndef MOETUNE_TUNER_SERVICE_SERVER_H_
#define MOETUNE_TUNER_SERVICE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "db/store.h"
#include "tuner/service/snapshot_holder.h"

namespace moetune {

struct ServerOptions {
  std::string listen = "127.0.0.1:50151";  // port 0 picks a free one

  // How often the log is asked for new rows: a `tune` beside the server is served within a second.
  absl::Duration poll_interval = absl::Milliseconds(200);

  Log log;  // what an operator should know; empty: to stderr
};

class Server {
 public:
  // Reads the store once, then listens. FailedPrecondition names an address that cannot be listened
  // on, such as one in use.
  static absl::StatusOr<std::unique_ptr<Server>> Start(std::unique_ptr<Store> store,
                                                       ServerOptions options);
  ~Server();  // Stop
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string address() const;  // "HOST:PORT", the real port

  // Refuses new calls, gives running ones a moment, joins every thread. Safe to call twice.
  void Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_SERVICE_SERVER_H_
