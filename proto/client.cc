#include "proto/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "kernels/status_macros.h"
#include "moetune/v1/config_service.grpc.pb.h"
#include "proto/address.h"
#include "proto/convert.h"
#include "proto/field_path.h"
#include "proto/grpc_status.h"

namespace moetune {
namespace {

using Stub = v1::ConfigService::Stub;

constexpr int kPageSize = 1000;
constexpr int kMaxReplyBytes = 64 << 20;
constexpr int kMaxReconnectMs = 5000;

void SetDevice(const DeviceSpec& device, v1::LookupRequest& request) {
  if (!device.name.empty()) *request.mutable_device() = ToProto(device);
}

}  // namespace

class Client::Impl {
 public:
  Impl(std::string server, absl::Duration deadline)
      : server_(std::move(server)), deadline_(deadline) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
    // gRPC's default reaches two minutes: a server that was restarted should not be missed that
    // long.
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
    // The service is named by its own address: a proxy for the web is not on the way to it.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    stub_ = v1::ConfigService::NewStub(
        grpc::CreateCustomChannel(server_, grpc::InsecureChannelCredentials(), arguments));
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline_));
    Response response;
    RETURN_IF_ERROR(Explain(FromGrpc((stub_.get()->*method)(&context, request, &response))));
    return response;
  }

  absl::StatusOr<Answer> ToAnswer(const v1::LookupResponse& response) const {
    absl::StatusOr<Choice> choice = FromProto(response, "");
    if (!choice.ok()) return Senseless(choice.status());
    return Answer{.choice = *std::move(choice),
                  .stale = {response.stale().begin(), response.stale().end()},
                  .snapshot_token = response.snapshot_token()};
  }

  // An answer that does not convert is the server's fault, not that of the caller's arguments.
  absl::Status Senseless(const absl::Status& status) const {
    return absl::InternalError(absl::StrFormat("the answer of the server at %s makes no sense: %s",
                                               server_, std::string(status.message())));
  }

 private:
  absl::Status Explain(const absl::Status& status) const {
    const std::string message(status.message());
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
        return absl::UnavailableError(
            absl::StrFormat("cannot reach the server at %s: %s", server_, message));
      case absl::StatusCode::kDeadlineExceeded:
        return absl::DeadlineExceededError(absl::StrFormat(
            "the server at %s did not answer within %s", server_, absl::FormatDuration(deadline_)));
      case absl::StatusCode::kUnimplemented:
        return absl::UnimplementedError(absl::StrFormat(
            "the server at %s does not offer this call of moetune.v1.ConfigService: %s", server_,
            message));
      default:
        return status;
    }
  }

  const std::string server_;
  const absl::Duration deadline_;
  std::unique_ptr<Stub> stub_;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(std::string_view server,
                                                        absl::Duration deadline) {
  ASSIGN_OR_RETURN(const Address address, ParseAddress(server));
  if (address.port == 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("address '%s': a server is not reached on port 0", server));
  }
  return std::unique_ptr<Client>(new Client(std::make_unique<Impl>(address.Text(), deadline)));
}

absl::StatusOr<Answer> Client::Lookup(const Problem& problem, const DeviceSpec& device,
                                      const Environment& asker) {
  v1::LookupRequest request;
  *request.mutable_problem() = ToProto(problem);
  SetDevice(device, request);
  *request.mutable_environment() = ToProto(asker);
  ASSIGN_OR_RETURN(const v1::LookupResponse response, impl_->Call(&Stub::Lookup, request));
  return impl_->ToAnswer(response);
}

absl::StatusOr<std::vector<Answer>> Client::BatchLookup(const std::vector<Problem>& problems,
                                                        const DeviceSpec& device,
                                                        const Environment& asker) {
  v1::BatchLookupRequest request;
  for (const Problem& problem : problems) {
    v1::LookupRequest& lookup = *request.add_requests();
    *lookup.mutable_problem() = ToProto(problem);
    SetDevice(device, lookup);
    *lookup.mutable_environment() = ToProto(asker);
  }
  ASSIGN_OR_RETURN(const v1::BatchLookupResponse response,
                   impl_->Call(&Stub::BatchLookup, request));
  if (response.responses_size() != request.requests_size()) {
    return impl_->Senseless(absl::InternalError(absl::StrFormat(
        "%d answers to %d questions", response.responses_size(), request.requests_size())));
  }
  std::vector<Answer> answers;
  answers.reserve(problems.size());
  for (const v1::LookupResponse& lookup : response.responses()) {
    ASSIGN_OR_RETURN(Answer answer, impl_->ToAnswer(lookup));
    answers.push_back(std::move(answer));
  }
  return answers;
}

absl::StatusOr<std::vector<Winner>> Client::ListWinners(std::string_view device_name) {
  v1::ListWinnersRequest request;
  request.set_page_size(kPageSize);
  request.set_device_name(std::string(device_name));
  std::vector<Winner> winners;
  do {
    ASSIGN_OR_RETURN(const v1::ListWinnersResponse page, impl_->Call(&Stub::ListWinners, request));
    for (int i = 0; i < page.winners_size(); ++i) {
      absl::StatusOr<Winner> winner = FromProto(page.winners(i), absl::StrFormat("winners[%d]", i));
      if (!winner.ok()) return impl_->Senseless(winner.status());
      winners.push_back(*std::move(winner));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return winners;
}

}  // namespace moetune
