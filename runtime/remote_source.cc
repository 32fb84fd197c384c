#include "runtime/remote_source.h"

#include <utility>

#include "kernels/status_macros.h"
#include "proto/client.h"

namespace moetune {
namespace {

class RemoteSource : public ConfigSource {
 public:
  explicit RemoteSource(std::unique_ptr<Client> client) : client_(std::move(client)) {}

  absl::StatusOr<Choice> Lookup(const Problem& problem, const DeviceSpec& device) override {
    // The asker's environment only makes stale reasons, which a dispatcher has no use for.
    ASSIGN_OR_RETURN(Answer answer, client_->Lookup(problem, device, Environment{}));
    return std::move(answer.choice);
  }

 private:
  const std::unique_ptr<Client> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ConfigSource>> OpenRemoteSource(std::string_view server) {
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Connect(server));
  return std::make_unique<RemoteSource>(std::move(client));
}

}  // namespace moetune
