#include "tuner/worker_client.h"

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "kernels/status_macros.h"
#include "tuner/worker_messages.h"

namespace moetune {
namespace {

absl::Status Send(ChildProcess& process, const internal::Request& request) {
  return process.Send(request.SerializeAsString());
}

absl::StatusOr<internal::Reply> Receive(ChildProcess& process, absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::string bytes, process.Receive(deadline));
  internal::Reply reply;
  if (!reply.ParseFromString(bytes)) {
    return absl::DataLossError("a worker sent what is no message");
  }
  return reply;
}

absl::Status Unexpected(const internal::Reply& reply) {
  return absl::InternalError(
      absl::StrFormat("a worker answered out of turn: %s", reply.ShortDebugString()));
}

}  // namespace

absl::StatusOr<WorkerClient> WorkerClient::Start(const WorkerCommand& command,
                                                 const WorkerStart& start, absl::Duration limit) {
  ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::Start(command));
  WorkerClient client(std::move(process));
  internal::Request request;
  *request.mutable_start() = ToMessage(start);
  RETURN_IF_ERROR(Send(client.process_, request));
  ASSIGN_OR_RETURN(const internal::Reply reply, Receive(client.process_, absl::Now() + limit));
  if (reply.has_failed()) return FromMessage(reply.failed());
  if (!reply.has_hello()) return Unexpected(reply);
  ASSIGN_OR_RETURN(client.hello_, FromMessage(reply.hello()));
  return client;
}

absl::Status WorkerClient::StartCompile(const Problem& problem, const Candidate& candidate,
                                        std::string_view arch) {
  internal::Request request;
  request.mutable_compile()->set_problem(ProblemKey(problem));
  *request.mutable_compile()->mutable_candidate() = ToMessage(candidate);
  request.mutable_compile()->set_arch(std::string(arch));
  return Send(process_, request);
}

absl::StatusOr<CompileResult> WorkerClient::FinishCompile(absl::Time deadline) {
  ASSIGN_OR_RETURN(const internal::Reply reply, Receive(process_, deadline));
  if (reply.has_failed()) return FromMessage(reply.failed());
  if (!reply.has_compiled()) return Unexpected(reply);
  return FromMessage(reply.compiled());
}

absl::Status WorkerClient::StartMeasure(const Problem& problem,
                                        std::span<const Candidate> candidates, Effort effort,
                                        std::span<const Candidate> bases) {
  internal::Request request;
  internal::Measure& measure = *request.mutable_measure();
  measure.set_problem(ProblemKey(problem));
  measure.set_effort(std::string(EffortName(effort)));
  for (const Candidate& candidate : candidates) *measure.add_candidates() = ToMessage(candidate);
  for (const Candidate& base : bases) *measure.add_bases() = ToMessage(base);
  return Send(process_, request);
}

absl::StatusOr<WorkerClient::Event> WorkerClient::NextEvent(absl::Time deadline) {
  ASSIGN_OR_RETURN(const internal::Reply reply, Receive(process_, deadline));
  switch (reply.kind_case()) {
    case internal::Reply::kStep:
      return Event(FromMessage(reply.step()));
    case internal::Reply::kMeasured: {
      ASSIGN_OR_RETURN(Measured measured, FromMessage(reply.measured()));
      return Event(std::move(measured));
    }
    case internal::Reply::kDone:
      return Event(absl::OkStatus());
    case internal::Reply::kFailed:
      return Event(FromMessage(reply.failed()));
    default:
      return Unexpected(reply);
  }
}

}  // namespace moetune
