#include "tuner/sweep_spec.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/status_macros.h"
#include "moetune/v1/sweep_spec.pb.h"

namespace moetune {
namespace {

using nlohmann::json;

// Keeps the first error of a text-proto, with its place.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrFormat("%d:%d: %s", line + 1, column + 1, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status At(const absl::Status& status, std::string_view field, int index) {
  return absl::InvalidArgumentError(
      absl::StrFormat("sweep spec: %s[%d]: %s", field, index, status.message()));
}

// Parses each text of a repeated field.
template <typename Texts, typename Parse, typename T>
absl::Status ParseEach(std::string_view field, const Texts& texts, Parse parse,
                       std::vector<T>& values) {
  if (texts.empty()) return absl::OkStatus();  // the default stays
  values.clear();
  for (const auto& text : texts) {
    auto value = parse(text);
    if (!value.ok()) return At(value.status(), field, static_cast<int>(values.size()));
    values.push_back(*std::move(value));
  }
  return absl::OkStatus();
}

absl::StatusOr<Model> ToModel(const v1::ModelShape& shape) {
  const bool bare = shape.experts() == 0 && shape.top_k() == 0 && shape.hidden() == 0 &&
                    shape.intermediate() == 0;
  if (bare) return FindModel(shape.name());
  if (std::min({shape.experts(), shape.top_k(), shape.hidden(), shape.intermediate()}) <= 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "model '%s' needs experts, top_k, hidden and intermediate, all above zero", shape.name()));
  }
  return Model{.name = shape.name(),
               .experts = shape.experts(),
               .top_k = shape.top_k(),
               .hidden = shape.hidden(),
               .intermediate = shape.intermediate()};
}

absl::StatusOr<Dtype> ParseOperandDtype(std::string_view text) {
  Shape shape;
  RETURN_IF_ERROR(ParseDtypes(text, shape));
  if (shape.output != shape.dtype) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dtype '%s' names an output too: models are tuned with one dtype", text));
  }
  return shape.dtype;
}

// The first of `names` that `config` has, in its text_config or at the top.
absl::StatusOr<int64_t> ReadField(const json& config, std::string_view file,
                                  std::initializer_list<const char*> names) {
  const auto text_config = config.find("text_config");
  for (const char* name : names) {
    for (const json* level : {text_config == config.end() ? nullptr : &*text_config, &config}) {
      if (level == nullptr || !level->is_object() || !level->contains(name)) continue;
      const json& value = (*level)[name];
      if (value.is_null()) continue;
      if (!value.is_number_integer() || value.get<int64_t>() <= 0 ||
          value.get<int64_t>() > std::numeric_limits<int32_t>::max()) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%s: %s is %s, but must be an integer from 1 to %d", file, name,
                            value.dump(), std::numeric_limits<int32_t>::max()));
      }
      return value.get<int64_t>();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: has no %s, as the config.json of an MoE model does", file,
                      absl::StrJoin(names.begin(), names.end(), " or ")));
}

}  // namespace

absl::StatusOr<std::vector<Problem>> ExpandProblems(const SweepSpec& spec) {
  std::vector<Problem> problems = spec.problems;
  for (const Model& model : spec.models) {
    for (const Shape& model_shape : ModelShapes(model, spec.fusions, spec.dtype)) {
      for (OpKind op : spec.ops) {
        Shape shape = model_shape;
        shape.op = op;
        for (int64_t tokens : spec.tokens) {
          for (const Routing& routing : spec.routing) {
            problems.push_back({shape, tokens, tokens * shape.top_k, routing});
          }
        }
      }
    }
  }
  if (problems.empty()) {
    return absl::InvalidArgumentError(
        spec.models.empty()
            ? "nothing to tune: no model and no problem is named"
            : absl::StrFormat(
                  "nothing to tune: no GEMM of the models takes the fusions %s",
                  absl::StrJoin(spec.fusions, ", ", [](std::string* out, Fusions fusions) {
                    *out += FusionsText(fusions);
                  })));
  }

  std::vector<Shape> shapes;  // in order of their first problem
  const auto rank = [&](const Problem& problem) {
    return std::find(shapes.begin(), shapes.end(), problem.shape) - shapes.begin();
  };
  std::vector<Problem> unique;
  for (const Problem& problem : problems) {
    RETURN_IF_ERROR(ValidateProblem(problem));
    RETURN_IF_ERROR(CheckRouting(problem, spec.histograms));
    if (std::find(unique.begin(), unique.end(), problem) != unique.end()) continue;
    unique.push_back(problem);
    if (rank(problem) == static_cast<std::ptrdiff_t>(shapes.size()))
      shapes.push_back(problem.shape);
  }
  std::stable_sort(unique.begin(), unique.end(), [&](const Problem& a, const Problem& b) {
    return std::pair(rank(a), a.tokens) < std::pair(rank(b), b.tokens);
  });
  return unique;
}

absl::StatusOr<SweepSpec> ParseSweepSpec(std::string_view text) {
  v1::SweepSpec message;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(std::string(text), &message)) {
    return absl::InvalidArgumentError(absl::StrFormat("sweep spec:%s", error.text()));
  }

  SweepSpec spec;
  RETURN_IF_ERROR(ParseEach("problems", message.problems(), ParseProblem, spec.problems));
  RETURN_IF_ERROR(ParseEach("models", message.models(), ToModel, spec.models));
  RETURN_IF_ERROR(ParseEach("ops", message.ops(), ParseOp, spec.ops));
  RETURN_IF_ERROR(ParseEach("fusions", message.fusions(), ParseFusions, spec.fusions));
  RETURN_IF_ERROR(ParseEach("routing", message.routing(), ParseRouting, spec.routing));
  const auto positive = [](int64_t tokens) -> absl::StatusOr<int64_t> {
    if (tokens > 0) return tokens;
    return absl::InvalidArgumentError(absl::StrFormat("%d tokens: at least 1 is needed", tokens));
  };
  RETURN_IF_ERROR(ParseEach("tokens", message.tokens(), positive, spec.tokens));
  if (!message.dtype().empty()) {
    ASSIGN_OR_RETURN(spec.dtype, ParseOperandDtype(message.dtype()));
  }
  return spec;
}

absl::StatusOr<Model> ReadHfConfig(std::string_view text, std::string_view name) {
  const json config = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: is not a JSON object", name));
  }
  Model model = {.name = std::string(name)};
  ASSIGN_OR_RETURN(
      model.experts,
      ReadField(config, name, {"num_experts", "num_local_experts", "n_routed_experts"}));
  ASSIGN_OR_RETURN(model.top_k, ReadField(config, name, {"num_experts_per_tok"}));
  ASSIGN_OR_RETURN(model.hidden, ReadField(config, name, {"hidden_size"}));
  ASSIGN_OR_RETURN(model.intermediate,
                   ReadField(config, name, {"moe_intermediate_size", "intermediate_size"}));
  return model;
}

absl::StatusOr<Routing> ReadHistogram(std::string_view text, Histograms& histograms) {
  const json list = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto is_count = [](const json& value) {
    return value.is_number_integer() && value >= 0 && value <= std::numeric_limits<int32_t>::max();
  };
  if (!list.is_array() || list.empty() || !std::all_of(list.begin(), list.end(), is_count)) {
    return absl::InvalidArgumentError(
        "a histogram is a JSON list of the rows of each expert, like [12, 0, 7]");
  }
  const auto counts = list.get<std::vector<int64_t>>();
  const uint32_t hash = HistogramHash(counts);
  histograms[hash] = counts;
  return Routing{.kinds = kCounts, .counts_hash = hash};
}

}  // namespace moetune
