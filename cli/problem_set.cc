#include "cli/problem_set.h"

#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/text_file.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> SplitList(const std::string& list) {
  std::vector<std::string> parts;
  std::stringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

absl::StatusOr<Routing> ReadRouting(const std::string& text, Histograms& histograms) {
  constexpr std::string_view kCountsFile = "counts:";
  if (!text.starts_with(kCountsFile)) return ParseRouting(text);
  ASSIGN_OR_RETURN(const std::string json, ReadTextFile(text.substr(kCountsFile.size())));
  return ReadHistogram(json, histograms);
}

absl::Status ReadLists(const ProblemSetOptions& set, SweepSpec& spec) {
  if (!set.ops.empty()) spec.ops.clear();
  for (const std::string& text : SplitList(set.ops)) {
    ASSIGN_OR_RETURN(const OpKind op, ParseOp(text));
    spec.ops.push_back(op);
  }
  for (const std::string& text : SplitList(set.fusions)) {
    ASSIGN_OR_RETURN(const Fusions fusions, ParseFusions(text));
    spec.fusions.push_back(fusions);
  }
  if (!set.tokens.empty()) spec.tokens.clear();
  for (const std::string& text : SplitList(set.tokens)) {
    ASSIGN_OR_RETURN(const int64_t tokens, ParseInteger("tokens", text, 1, kMaxSize));
    spec.tokens.push_back(tokens);
  }
  if (!set.routing.empty()) spec.routing.clear();
  for (const std::string& text : SplitList(set.routing)) {
    ASSIGN_OR_RETURN(const Routing routing, ReadRouting(text, spec.histograms));
    spec.routing.push_back(routing);
  }
  return absl::OkStatus();
}

// The member `key` of a JSON object; `what` names the object in errors.
absl::StatusOr<const Json*> Member(const Json& object, const std::string& key,
                                   std::string_view what) {
  if (!object.is_object()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: is no JSON object; row counts are {model: {tokens: [rows of each expert]}}", what));
  }
  if (const auto found = object.find(key); found != object.end()) return &*found;
  std::vector<std::string> known;
  for (const auto& [name, value] : object.items()) known.push_back(name);
  return absl::NotFoundError(absl::StrFormat("%s: there are none for '%s', but for %s", what, key,
                                             absl::StrJoin(known, ", ")));
}

// The problems of one model and token count, with the rows of each expert in `counts`.
absl::Status AddCounted(const SweepSpec& spec, const Model& model, int64_t tokens,
                        const Json& counts, std::vector<Problem>& problems,
                        Histograms& histograms) {
  SweepSpec one = {.models = {model},
                   .ops = spec.ops,
                   .fusions = spec.fusions,
                   .tokens = {tokens},
                   .dtype = spec.dtype};
  ASSIGN_OR_RETURN(const Routing routing, ReadHistogram(counts.dump(), histograms));
  const std::vector<int64_t>& rows = histograms.at(routing.counts_hash);
  const int64_t sum = std::accumulate(rows.begin(), rows.end(), int64_t{0});
  if (sum != tokens * model.top_k) {
    return absl::InvalidArgumentError(absl::StrFormat("%d rows, but %d tokens with top %d have %d",
                                                      sum, tokens, model.top_k,
                                                      tokens * model.top_k));
  }
  one.routing = {routing};
  one.histograms = histograms;
  ASSIGN_OR_RETURN(const std::vector<Problem> expanded, ExpandProblems(one));
  problems.insert(problems.end(), expanded.begin(), expanded.end());
  return absl::OkStatus();
}

// Replaces the models of `spec` by their problems with the row counts that stand in `text`.
absl::Status TakeRoutingCounts(std::string_view text, SweepSpec& spec) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  for (const Model& model : spec.models) {
    ASSIGN_OR_RETURN(const Json* const of_model, Member(json, model.name, "routing counts"));
    for (const int64_t tokens : spec.tokens) {
      const std::string place = absl::StrFormat("routing counts of %s", model.name);
      ASSIGN_OR_RETURN(const Json* const counts,
                       Member(*of_model, absl::StrFormat("%d", tokens), place));
      const absl::Status added =
          AddCounted(spec, model, tokens, *counts, spec.problems, spec.histograms);
      if (!added.ok()) {
        return absl::Status(added.code(),
                            absl::StrFormat("%s, %d tokens: %s", place, tokens, added.message()));
      }
    }
  }
  spec.models.clear();
  return absl::OkStatus();
}

}  // namespace

void AddProblemSetOptions(Options& options, ProblemSetOptions* set) {
  options.Texts("model", "NAME", &set->models, "a known model: both GEMMs of its experts");
  options.Text("hf-config", "FILE", &set->hf_config, "the config.json of any other MoE model");
  options.Texts("problem", "KEY", &set->problems, "a problem by its key, as it is");
  options.Text("ops", "LIST", &set->ops, "of the models (default: forward)");
  options.Text("fusions", "LIST", &set->fusions,
               "fusion sets such as gather+swiglu,combine,plain (default: gather for gate and up, "
               "scatter+scale for down)");
  options.Text("tokens", "LIST", &set->tokens,
               "token counts (default: 1,16,64,256,1024,4096,16384)");
  options.Text("routing", "LIST", &set->routing,
               "softmax, balanced, zipf, counts:FILE, or a mix joined by + (default: softmax)");
  options.Text("routing-counts", "FILE", &set->routing_counts,
               "captured rows of each expert for each model and token count, instead of --routing: "
               "a JSON object {NAME: {tokens: [rows, ...]}}");
}

absl::StatusOr<SweepSpec> ReadProblemSet(const ProblemSetOptions& set) {
  SweepSpec spec;
  for (const std::string& name : set.models) {
    ASSIGN_OR_RETURN(Model model, FindModel(name));
    spec.models.push_back(std::move(model));
  }
  if (!set.hf_config.empty()) {
    ASSIGN_OR_RETURN(const std::string json, ReadTextFile(set.hf_config));
    ASSIGN_OR_RETURN(Model model, ReadHfConfig(json, set.hf_config));
    spec.models.push_back(std::move(model));
  }
  for (const std::string& key : set.problems) {
    ASSIGN_OR_RETURN(const Problem problem, ParseProblem(key));
    spec.problems.push_back(problem);
  }
  RETURN_IF_ERROR(ReadLists(set, spec));
  if (spec.models.empty() && !(set.ops + set.fusions + set.tokens + set.routing_counts).empty()) {
    return absl::InvalidArgumentError(
        "--ops, --fusions, --tokens and --routing-counts are of models; a --problem has its own");
  }
  if (set.routing_counts.empty()) return spec;
  if (!set.routing.empty()) {
    return absl::InvalidArgumentError("give either --routing or --routing-counts, not both");
  }
  ASSIGN_OR_RETURN(const std::string json, ReadTextFile(set.routing_counts));
  RETURN_IF_ERROR(TakeRoutingCounts(json, spec));
  return spec;
}

}  // namespace moetune
