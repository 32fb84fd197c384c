// ConfigService on gRPC's callback API: every call is answered on the thread that brings it, from
// the newest snapshot; nothing in it blocks.
#ifndef MOETUNE_TUNER_SERVICE_CONFIG_SERVICE_H_
#define MOETUNE_TUNER_SERVICE_CONFIG_SERVICE_H_

#include "moetune/v1/config_service.grpc.pb.h"
#include "tuner/service/snapshot_holder.h"

namespace moetune {

class ConfigService : public v1::ConfigService::CallbackService {
 public:
  explicit ConfigService(const SnapshotHolder& snapshots) : snapshots_(snapshots) {}

  grpc::ServerUnaryReactor* Lookup(grpc::CallbackServerContext* context,
                                   const v1::LookupRequest* request,
                                   v1::LookupResponse* response) override;
  grpc::ServerUnaryReactor* BatchLookup(grpc::CallbackServerContext* context,
                                        const v1::BatchLookupRequest* request,
                                        v1::BatchLookupResponse* response) override;
  grpc::ServerUnaryReactor* ListWinners(grpc::CallbackServerContext* context,
                                        const v1::ListWinnersRequest* request,
                                        v1::ListWinnersResponse* response) override;

 private:
  const SnapshotHolder& snapshots_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_SERVICE_CONFIG_SERVICE_H_
