// Between what workers and sweeps work with and the messages of worker.proto.
#ifndef MOETUNE_TUNER_WORKER_MESSAGES_H_
#define MOETUNE_TUNER_WORKER_MESSAGES_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "moetune/internal/worker.pb.h"
#include "tuner/compile_result.h"
#include "tuner/worker_client.h"

namespace moetune {

// A candidate, or candidates, by name. An unknown family or a bad config is an error.
internal::Candidate ToMessage(const Candidate& candidate);
absl::StatusOr<Candidate> FromMessage(const internal::Candidate& message);
absl::StatusOr<std::vector<Candidate>> FromMessages(
    const google::protobuf::RepeatedPtrField<internal::Candidate>& messages);

internal::Start ToMessage(const WorkerStart& start);
WorkerStart FromMessage(const internal::Start& message);

internal::Hello ToMessage(const WorkerHello& hello);
absl::StatusOr<WorkerHello> FromMessage(const internal::Hello& message);

internal::Compiled ToMessage(const CompileResult& result);
absl::StatusOr<CompileResult> FromMessage(const internal::Compiled& message);

internal::Step ToMessage(const Step& step);
Step FromMessage(const internal::Step& message);

internal::Measured ToMessage(size_t candidate, const Trial& trial);
absl::StatusOr<WorkerClient::Measured> FromMessage(const internal::Measured& message);

internal::Failed ToMessage(const absl::Status& status);
absl::Status FromMessage(const internal::Failed& message);

}  // namespace moetune

#endif  // MOETUNE_TUNER_WORKER_MESSAGES_H_
