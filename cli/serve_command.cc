// serve: answers look-ups over gRPC until it is told to stop.
#include <signal.h>

#include <iostream>

#include "cli/command.h"
#include "cli/shared_options.h"
#include "kernels/status_macros.h"
#include "proto/address.h"
#include "tuner/service/server.h"

namespace moetune {
namespace {

// Blocks the signals that ask a program to end, for this thread and those that it starts: they are
// waited for instead of interrupting. The mask is put back at the end.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  void Wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  ServerOptions server_options;
  Options options(
      "moetune serve [--db FILE] [--listen HOST:PORT]",
      "Serves the winners of a database over gRPC, those that a `moetune tune` beside it "
      "adds within a second. Ends on SIGINT and SIGTERM.");
  AddDatabaseOption(options, &db);
  options.Text("listen", "HOST:PORT", &server_options.listen,
               "where to listen; port 0 picks a free one");
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (const auto address = ParseAddress(server_options.listen); !address.ok()) {
    return UsageError(address.status());
  }

  ASSIGN_OR_RETURN(const std::string path, DatabasePath(db));
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  const StopSignals stop_signals;  // before the server's threads are there to inherit the mask
  ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                   Server::Start(std::move(store), std::move(server_options)));
  std::cout << "listening on " << server->address() << std::endl;
  stop_signals.Wait();
  server->Stop();
  return kExitOk;
}

}  // namespace

extern const Command kServeCommand;
const Command kServeCommand = {
    .name = "serve",
    .summary = "answer look-ups over gRPC",
    .run = Run,
};

}  // namespace moetune
