#include "proto/convert.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"
#include "proto/field_path.h"

namespace moetune {
namespace {

absl::Status InvalidField(std::string_view path, std::string_view field, std::string_view message) {
  const std::string full = JoinPath(path, field);
  return WithFieldPath(absl::InvalidArgumentError(absl::StrFormat("%s: %s", full, message)), full);
}

absl::Status AtField(const absl::Status& status, std::string_view path, std::string_view field) {
  return WithFieldPath(status, JoinPath(path, field));
}

absl::Status CheckName(std::string_view name, std::string_view path, std::string_view field) {
  if (name.size() <= kMaxNameBytes) return absl::OkStatus();
  return InvalidField(
      path, field,
      absl::StrFormat("a name of %d bytes; at most %d are allowed", name.size(), kMaxNameBytes));
}

struct IntegerField {
  std::string_view field;
  int64_t value;
  int64_t min;
  int64_t max = std::numeric_limits<int64_t>::max();
};

absl::Status CheckIntegers(std::initializer_list<IntegerField> fields, std::string_view path) {
  for (const auto& [field, value, min, max] : fields) {
    if (value < min || value > max) {
      return InvalidField(path, field,
                          absl::StrFormat("must be from %d to %d, not %d", min, max, value));
    }
  }
  return absl::OkStatus();
}

struct NumberField {
  std::string_view field;
  double value;
};

absl::Status CheckNumbers(std::initializer_list<NumberField> fields, std::string_view path) {
  for (const auto& [field, value] : fields) {
    if (!std::isfinite(value) || value < 0) {
      return InvalidField(path, field,
                          absl::StrFormat("must be a number of at least 0, not %g", value));
    }
  }
  return absl::OkStatus();
}

// Joins the words of a set as its text has them, after checking that each is a single word.
absl::StatusOr<std::string> JoinWords(const google::protobuf::RepeatedPtrField<std::string>& words,
                                      std::string_view path, std::string_view field) {
  std::string text;
  for (int i = 0; i < words.size(); ++i) {
    const std::string element = absl::StrFormat("%s[%d]", field, i);
    RETURN_IF_ERROR(CheckName(words[i], path, element));
    if (words[i].empty() || words[i].find('+') != std::string::npos) {
      return InvalidField(path, element, absl::StrFormat("'%s' is not one word", words[i]));
    }
    if (i > 0) text += '+';
    text += words[i];
  }
  return text;
}

v1::Config ToProto(const std::string& family, const Config& config) {
  v1::Config message;
  message.set_family(family);
  for (const auto& [name, values] : config.entries()) {
    auto& list = *(*message.mutable_parameters())[name].mutable_values();
    list.Assign(values.begin(), values.end());
  }
  return message;
}

absl::StatusOr<Config> ConfigFromProto(const v1::Config& message, std::string_view path) {
  if (message.family().empty()) return InvalidField(path, "family", "is missing");
  Config config;
  for (const auto& [name, list] : message.parameters()) {
    config.Set(name, Config::Values(list.values().begin(), list.values().end()));
  }
  // One grammar for names and values, that of the text.
  const absl::StatusOr<Config> parsed = ParseConfig(config.Text());
  if (!parsed.ok()) return AtField(parsed.status(), path, "parameters");
  if (*parsed != config) {
    return InvalidField(path, "parameters", "each takes a NAME in lower case and integers");
  }
  return config;
}

absl::Status SetSizes(const v1::Problem& message, std::string_view path, Problem& problem) {
  RETURN_IF_ERROR(CheckIntegers({{"experts", message.experts(), 1, kMaxSize},
                                 {"top_k", message.top_k(), 1, kMaxSize},
                                 {"n", message.n(), 1, kMaxSize},
                                 {"k", message.k(), 1, kMaxSize}},
                                path));
  RETURN_IF_ERROR(CheckIntegers({{"tokens", message.tokens(), 1, kMaxSize / message.top_k()},
                                 {"rows", message.rows(), 0, kMaxSize}},
                                path));
  problem.shape.experts = message.experts();
  problem.shape.top_k = message.top_k();
  problem.shape.n = message.n();
  problem.shape.k = message.k();
  problem.tokens = message.tokens();
  problem.rows = message.rows() != 0 ? message.rows() : message.tokens() * message.top_k();
  return absl::OkStatus();
}

// Of a problem whose fields are legal one by one, the field by which they do not go together; empty
// where no single one is at fault.
std::string_view BlamedField(const v1::Problem& message, const Problem& problem) {
  Problem milder = problem;
  milder.rows = 1;  // a share that any experts can take
  if (ValidateProblem(milder).ok()) return message.rows() != 0 ? "rows" : "top_k";
  milder.shape.fusions = 0;
  return ValidateProblem(milder).ok() ? "fusions" : "";
}

}  // namespace

v1::Problem ToProto(const Problem& problem) {
  const Shape& shape = problem.shape;
  v1::Problem message;
  message.set_op(std::string(OpName(shape.op)));
  message.set_dtype(DtypesText(shape));
  if (shape.fusions != 0) {
    for (const auto& word : absl::StrSplit(FusionsText(shape.fusions), '+')) {
      message.add_fusions(std::string(word));
    }
  }
  message.set_experts(shape.experts);
  message.set_top_k(shape.top_k);
  message.set_n(shape.n);
  message.set_k(shape.k);
  message.set_tokens(problem.tokens);
  message.set_rows(problem.rows);
  for (const auto& word : absl::StrSplit(RoutingText(problem.routing), '+')) {
    message.add_routing(std::string(word));
  }
  return message;
}

v1::Device ToProto(const DeviceSpec& device) {
  v1::Device message;
  message.set_name(device.name);
  message.set_compute_capability(device.compute_capability);
  message.set_sm_count(device.sm_count);
  message.set_shared_bytes_per_block(device.shared_bytes_per_block);
  message.set_shared_bytes_per_sm(device.shared_bytes_per_sm);
  message.set_registers_per_sm(device.registers_per_sm);
  message.set_l2_bytes(device.l2_bytes);
  message.set_memory_bytes(device.memory_bytes);
  message.set_read_gbps(device.read_gbps);
  message.set_write_gbps(device.write_gbps);
  message.set_copy_gbps(device.copy_gbps);
  message.set_matrix_tflops(device.matrix_tflops);
  message.set_fma_tflops(device.fma_tflops);
  return message;
}

v1::Environment ToProto(const Environment& environment) {
  v1::Environment message;
  message.set_driver(environment.driver);
  message.set_nvrtc(environment.nvrtc);
  message.set_kernel_fingerprint(environment.kernel_fingerprint);
  message.set_policy(environment.policy);
  return message;
}

v1::Winner ToProto(const Winner& winner) {
  v1::Winner message;
  message.set_sweep(winner.sweep);
  *message.mutable_problem() = ToProto(winner.problem);
  *message.mutable_device() = ToProto(winner.device);
  *message.mutable_environment() = ToProto(winner.environment);
  *message.mutable_config() = ToProto(winner.family, winner.config);
  message.set_cubin_sha256(winner.cubin_sha256);
  message.set_estimated(winner.estimated);
  message.set_time_us(winner.time_us);
  message.set_time_us_low(winner.time_us_low);
  message.set_time_us_high(winner.time_us_high);
  if (!winner.default_family.empty()) {
    *message.mutable_default_config() = ToProto(winner.default_family, winner.default_config);
  }
  message.set_default_time_us(winner.default_time_us);
  message.set_reason(winner.reason);
  message.set_measured_at_us(winner.measured_at);
  message.set_problem_key(ProblemKey(winner.problem));
  return message;
}

v1::LookupResponse ToProto(const Choice& choice, const Environment& asker,
                           std::string_view snapshot_token) {
  v1::LookupResponse message;
  message.set_tier(static_cast<v1::Tier>(static_cast<int>(choice.tier) + v1::TIER_EXACT));
  message.set_distance(choice.distance);
  *message.mutable_winner() = ToProto(*choice.winner);
  for (std::string& reason : StaleReasons(*choice.winner, asker)) {
    message.add_stale(std::move(reason));
  }
  message.set_snapshot_token(std::string(snapshot_token));
  return message;
}

absl::StatusOr<Problem> FromProto(const v1::Problem& message, std::string_view path) {
  RETURN_IF_ERROR(CheckName(message.op(), path, "op"));
  RETURN_IF_ERROR(CheckName(message.dtype(), path, "dtype"));
  Problem problem;
  Shape& shape = problem.shape;

  const absl::StatusOr<OpKind> op = ParseOp(message.op());
  if (!op.ok()) return AtField(op.status(), path, "op");
  shape.op = *op;
  RETURN_IF_ERROR(AtField(ParseDtypes(message.dtype(), shape), path, "dtype"));
  if (message.fusions_size() > 0) {
    ASSIGN_OR_RETURN(const std::string text, JoinWords(message.fusions(), path, "fusions"));
    const absl::StatusOr<Fusions> fusions = ParseFusions(text);
    if (!fusions.ok()) return AtField(fusions.status(), path, "fusions");
    shape.fusions = *fusions;
  }
  if (message.routing_size() > 0) {
    ASSIGN_OR_RETURN(const std::string text, JoinWords(message.routing(), path, "routing"));
    const absl::StatusOr<Routing> routing = ParseRouting(text);
    if (!routing.ok()) return AtField(routing.status(), path, "routing");
    problem.routing = *routing;
  }

  RETURN_IF_ERROR(SetSizes(message, path, problem));
  if (absl::Status status = ValidateProblem(problem); !status.ok()) {
    return AtField(status, path, BlamedField(message, problem));
  }
  return problem;
}

absl::StatusOr<DeviceSpec> FromProto(const v1::Device& message, std::string_view path) {
  if (message.name().empty()) return InvalidField(path, "name", "is missing");
  RETURN_IF_ERROR(CheckName(message.name(), path, "name"));
  RETURN_IF_ERROR(CheckIntegers({{"compute_capability", message.compute_capability(), 1},
                                 {"sm_count", message.sm_count(), 1},
                                 {"shared_bytes_per_block", message.shared_bytes_per_block(), 1},
                                 {"shared_bytes_per_sm", message.shared_bytes_per_sm(), 1},
                                 {"registers_per_sm", message.registers_per_sm(), 1},
                                 {"l2_bytes", message.l2_bytes(), 0},
                                 {"memory_bytes", message.memory_bytes(), 0}},
                                path));
  RETURN_IF_ERROR(CheckNumbers({{"read_gbps", message.read_gbps()},
                                {"write_gbps", message.write_gbps()},
                                {"copy_gbps", message.copy_gbps()},
                                {"matrix_tflops", message.matrix_tflops()},
                                {"fma_tflops", message.fma_tflops()}},
                               path));
  return DeviceSpec{
      .name = message.name(),
      .compute_capability = message.compute_capability(),
      .sm_count = message.sm_count(),
      .shared_bytes_per_block = message.shared_bytes_per_block(),
      .shared_bytes_per_sm = message.shared_bytes_per_sm(),
      .registers_per_sm = message.registers_per_sm(),
      .l2_bytes = message.l2_bytes(),
      .memory_bytes = message.memory_bytes(),
      .read_gbps = message.read_gbps(),
      .write_gbps = message.write_gbps(),
      .copy_gbps = message.copy_gbps(),
      .matrix_tflops = message.matrix_tflops(),
      .fma_tflops = message.fma_tflops(),
  };
}

Environment FromProto(const v1::Environment& message) {
  return Environment{.driver = message.driver(),
                     .nvrtc = message.nvrtc(),
                     .kernel_fingerprint = message.kernel_fingerprint(),
                     .policy = message.policy()};
}

absl::StatusOr<Winner> FromProto(const v1::Winner& message, std::string_view path) {
  Winner winner;
  winner.sweep = message.sweep();
  ASSIGN_OR_RETURN(winner.problem, FromProto(message.problem(), JoinPath(path, "problem")));
  ASSIGN_OR_RETURN(winner.device, FromProto(message.device(), JoinPath(path, "device")));
  winner.environment = FromProto(message.environment());
  winner.family = message.config().family();
  ASSIGN_OR_RETURN(winner.config, ConfigFromProto(message.config(), JoinPath(path, "config")));
  winner.cubin_sha256 = message.cubin_sha256();
  winner.estimated = message.estimated();
  RETURN_IF_ERROR(CheckNumbers({{"time_us", message.time_us()},
                                {"time_us_low", message.time_us_low()},
                                {"time_us_high", message.time_us_high()},
                                {"default_time_us", message.default_time_us()}},
                               path));
  winner.time_us = message.time_us();
  winner.time_us_low = message.time_us_low();
  winner.time_us_high = message.time_us_high();
  if (message.has_default_config()) {
    winner.default_family = message.default_config().family();
    ASSIGN_OR_RETURN(winner.default_config,
                     ConfigFromProto(message.default_config(), JoinPath(path, "default_config")));
  }
  winner.default_time_us = message.default_time_us();
  winner.reason = message.reason();
  winner.measured_at = message.measured_at_us();
  return winner;
}

absl::StatusOr<Choice> FromProto(const v1::LookupResponse& message, std::string_view path) {
  if (message.tier() < v1::TIER_EXACT) return InvalidField(path, "tier", "is missing");
  // One of a later version ranks last here, and its config is as good as the server says.
  const v1::Tier tier = std::min(message.tier(), v1::TIER_DEFAULT);
  RETURN_IF_ERROR(CheckNumbers({{"distance", message.distance()}}, path));
  ASSIGN_OR_RETURN(Winner winner, FromProto(message.winner(), JoinPath(path, "winner")));
  return Choice{.tier = static_cast<Tier>(tier - v1::TIER_EXACT),
                .distance = message.distance(),
                .winner = std::make_shared<const Winner>(std::move(winner))};
}

}  // namespace moetune
