#include "tuner/worker_messages.h"

#include <string>
#include <utility>

#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "proto/convert.h"

namespace moetune {
namespace {

internal::Facts ToMessage(const KernelFacts& facts) {
  internal::Facts message;
  message.set_registers(facts.registers);
  message.set_static_shared_bytes(facts.static_shared_bytes);
  message.set_stack_bytes(facts.stack_bytes);
  message.set_spill_bytes(facts.spill_bytes);
  message.set_wgmma_serialised(facts.wgmma_serialised);
  message.set_resident_ctas(facts.resident_ctas);
  return message;
}

KernelFacts FromMessage(const internal::Facts& message) {
  return {.registers = message.registers(),
          .static_shared_bytes = message.static_shared_bytes(),
          .stack_bytes = message.stack_bytes(),
          .spill_bytes = message.spill_bytes(),
          .wgmma_serialised = message.wgmma_serialised(),
          .resident_ctas = message.resident_ctas()};
}

}  // namespace

internal::Candidate ToMessage(const Candidate& candidate) {
  internal::Candidate message;
  message.set_family(std::string(candidate.family->name));
  message.set_config(candidate.config.Text());
  return message;
}

absl::StatusOr<Candidate> FromMessage(const internal::Candidate& message) {
  Candidate candidate;
  ASSIGN_OR_RETURN(candidate.family, FindFamily(message.family()));
  ASSIGN_OR_RETURN(candidate.config, ParseConfig(message.config()));
  return candidate;
}

absl::StatusOr<std::vector<Candidate>> FromMessages(
    const google::protobuf::RepeatedPtrField<internal::Candidate>& messages) {
  std::vector<Candidate> candidates;
  for (const internal::Candidate& message : messages) {
    ASSIGN_OR_RETURN(Candidate candidate, FromMessage(message));
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

internal::Start ToMessage(const WorkerStart& start) {
  internal::Start message;
  message.set_cubin_folder(start.cubin_folder);
  if (start.device) message.set_device(*start.device);
  message.set_seed(start.seed);
  for (const auto& [hash, counts] : start.histograms) {
    message.add_histograms()->mutable_counts()->Add(counts.begin(), counts.end());
  }
  message.set_as_peers(start.as_peers);
  return message;
}

WorkerStart FromMessage(const internal::Start& message) {
  WorkerStart start = {.cubin_folder = message.cubin_folder(), .seed = message.seed()};
  if (message.has_device()) start.device = message.device();
  start.as_peers = message.as_peers();
  for (const internal::Histogram& histogram : message.histograms()) {
    std::vector<int64_t> counts(histogram.counts().begin(), histogram.counts().end());
    const uint32_t hash = HistogramHash(counts);
    start.histograms[hash] = std::move(counts);
  }
  return start;
}

internal::Hello ToMessage(const WorkerHello& hello) {
  internal::Hello message;
  message.set_nvrtc(hello.nvrtc);
  *message.mutable_device() = ToProto(hello.device);
  message.set_driver(hello.driver);
  message.set_policy(hello.policy);
  message.mutable_notes()->Add(hello.notes.begin(), hello.notes.end());
  return message;
}

absl::StatusOr<WorkerHello> FromMessage(const internal::Hello& message) {
  WorkerHello hello;
  hello.nvrtc = message.nvrtc();
  hello.driver = message.driver();
  hello.policy = message.policy();
  hello.notes.assign(message.notes().begin(), message.notes().end());
  if (!message.device().name().empty()) {
    ASSIGN_OR_RETURN(hello.device, FromProto(message.device(), "device"));
  }
  return hello;
}

internal::Compiled ToMessage(const CompileResult& result) {
  internal::Compiled message;
  message.set_outcome(std::string(OutcomeName(result.outcome)));
  message.set_error(result.error);
  *message.mutable_facts() = ToMessage(result.facts);
  message.set_cubin_sha256(result.cubin_sha256);
  message.set_compile_ms(result.compile_ms);
  return message;
}

absl::StatusOr<CompileResult> FromMessage(const internal::Compiled& message) {
  CompileResult result = {.error = message.error(),
                          .facts = FromMessage(message.facts()),
                          .cubin_sha256 = message.cubin_sha256(),
                          .compile_ms = message.compile_ms()};
  ASSIGN_OR_RETURN(result.outcome, ParseOutcome(message.outcome()));
  return result;
}

internal::Step ToMessage(const Step& step) {
  internal::Step message;
  message.set_stage(static_cast<internal::Step::Stage>(step.stage));
  message.set_index(static_cast<uint32_t>(step.index));
  return message;
}

Step FromMessage(const internal::Step& message) {
  return {static_cast<Step::Stage>(message.stage()), message.index()};
}

internal::Measured ToMessage(size_t candidate, const Trial& trial) {
  const Measurement& m = trial.measurement;
  internal::Measured message;
  message.set_candidate(static_cast<uint32_t>(candidate));
  message.set_outcome(std::string(OutcomeName(m.outcome)));
  message.set_error(m.error);
  message.set_effort(std::string(EffortName(m.effort)));
  message.set_time_us(m.time_us);
  message.set_time_us_mad(m.time_us_mad);
  message.mutable_samples_us()->Add(trial.samples_us.begin(), trial.samples_us.end());
  *message.mutable_facts() = ToMessage(trial.facts);
  message.set_measured_at(m.measured_at);
  message.set_sm_mhz(m.clocks.sm_mhz);
  message.set_memory_mhz(m.clocks.memory_mhz);
  message.set_power_watts(m.clocks.power_watts);
  message.set_temperature_c(m.clocks.temperature_c);
  message.set_throttle(m.clocks.throttle);
  message.set_hot_us(m.hot_us);
  message.set_sm_clock_mhz(m.sm_clock_mhz);
  message.set_unsteady_rounds(m.unsteady_rounds);
  message.mutable_routing_us()->Add(m.routing_us.begin(), m.routing_us.end());
  return message;
}

absl::StatusOr<WorkerClient::Measured> FromMessage(const internal::Measured& message) {
  WorkerClient::Measured measured = {.candidate = message.candidate()};
  Trial& trial = measured.trial;
  Measurement& m = trial.measurement;
  ASSIGN_OR_RETURN(m.outcome, ParseOutcome(message.outcome()));
  ASSIGN_OR_RETURN(m.effort, ParseEffort(message.effort()));
  m.error = message.error();
  m.time_us = message.time_us();
  m.time_us_mad = message.time_us_mad();
  m.samples = message.samples_us_size();
  m.measured_at = message.measured_at();
  m.clocks = {.sm_mhz = message.sm_mhz(),
              .memory_mhz = message.memory_mhz(),
              .power_watts = message.power_watts(),
              .temperature_c = message.temperature_c(),
              .throttle = message.throttle()};
  m.hot_us = message.hot_us();
  m.sm_clock_mhz = message.sm_clock_mhz();
  m.unsteady_rounds = message.unsteady_rounds();
  m.routing_us.assign(message.routing_us().begin(), message.routing_us().end());
  trial.samples_us.assign(message.samples_us().begin(), message.samples_us().end());
  trial.facts = FromMessage(message.facts());
  return measured;
}

internal::Failed ToMessage(const absl::Status& status) {
  internal::Failed message;
  message.set_code(static_cast<int32_t>(status.code()));
  message.set_message(std::string(status.message()));
  return message;
}

absl::Status FromMessage(const internal::Failed& message) {
  return absl::Status(static_cast<absl::StatusCode>(message.code()), message.message());
}

}  // namespace moetune
