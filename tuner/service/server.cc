#include "tuner/service/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdio>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "kernels/status_macros.h"
#include "proto/address.h"
#include "tuner/service/config_service.h"

namespace moetune {
namespace {

// A batch of 1,000 requests, each with a whole device, is a third of this.
constexpr int kMaxRequestBytes = 1 << 20;
constexpr absl::Duration kStopGrace = absl::Seconds(1);

void LogToStderr(std::string_view line) {
  std::fprintf(stderr, "moetune: %.*s\n", static_cast<int>(line.size()), line.data());
}

// While one lives gRPC prints nothing: what it has to say of a port in use is ours to say.
class QuietGrpc {
 public:
  QuietGrpc() {
    gpr_set_log_function([](gpr_log_func_args*) {});
  }
  ~QuietGrpc() { gpr_set_log_function(nullptr); }
  QuietGrpc(const QuietGrpc&) = delete;
  QuietGrpc& operator=(const QuietGrpc&) = delete;
};

}  // namespace

class Server::Impl {
 public:
  explicit Impl(std::unique_ptr<SnapshotHolder> snapshots)
      : snapshots_(std::move(snapshots)), config_service_(*snapshots_) {}

  absl::Status Listen(Address address) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    // With gRPC's default a second server would share the port, and answer every other call.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    int port = 0;
    builder.AddListeningPort(address.Text(), grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&config_service_);
    {
      const QuietGrpc quiet;
      server_ = builder.BuildAndStart();
    }
    if (server_ == nullptr || port == 0) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "cannot listen on %s: the port is in use, or the host is not an address of this machine",
          address.Text()));
    }
    address.port = port;
    address_ = address.Text();
    server_->GetHealthCheckService()->SetServingStatus(v1::ConfigService::service_full_name(),
                                                       true);
    return absl::OkStatus();
  }

  void Stop() {
    std::call_once(stopped_, [this] {
      if (server_ == nullptr) return;
      server_->GetHealthCheckService()->Shutdown();  // watchers hear NOT_SERVING first
      server_->Shutdown(absl::ToChronoTime(absl::Now() + kStopGrace));
      server_->Wait();
    });
  }

  const std::string& address() const { return address_; }

 private:
  std::unique_ptr<SnapshotHolder> snapshots_;
  ConfigService config_service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::once_flag stopped_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(std::unique_ptr<Store> store,
                                                      ServerOptions options) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(options.listen));
  if (!options.log) options.log = LogToStderr;
  ASSIGN_OR_RETURN(
      std::unique_ptr<SnapshotHolder> snapshots,
      SnapshotHolder::Open(std::move(store), options.poll_interval, std::move(options.log)));
  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>(std::move(snapshots))));
  RETURN_IF_ERROR(server->impl_->Listen(std::move(address)));
  return server;
}

std::string Server::address() const { return impl_->address(); }

void Server::Stop() { impl_->Stop(); }

}  // namespace moetune
