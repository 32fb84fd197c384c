#include "tuner/service/config_service.h"

#include <chrono>

#include "proto/grpc_status.h"
#include "tuner/service/config_handlers.h"

namespace moetune {
namespace {

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* ConfigService::Lookup(grpc::CallbackServerContext* context,
                                                const v1::LookupRequest* request,
                                                v1::LookupResponse* response) {
  return Finish(context, HandleLookup(*snapshots_.Current(), *request, *response));
}

grpc::ServerUnaryReactor* ConfigService::BatchLookup(grpc::CallbackServerContext* context,
                                                     const v1::BatchLookupRequest* request,
                                                     v1::BatchLookupResponse* response) {
  // A look-up that misses takes milliseconds: a thousand take longer than their caller waits. That
  // a call is cancelled is only seen while a thread is free to see it; the clock tells without.
  const auto cancelled = [context] {
    return context->IsCancelled() || context->deadline() <= std::chrono::system_clock::now();
  };
  return Finish(context, HandleBatchLookup(*snapshots_.Current(), *request, *response, cancelled));
}

grpc::ServerUnaryReactor* ConfigService::ListWinners(grpc::CallbackServerContext* context,
                                                     const v1::ListWinnersRequest* request,
                                                     v1::ListWinnersResponse* response) {
  return Finish(context, HandleListWinners(*snapshots_.Current(), *request, *response));
}

}  // namespace moetune
