// SweepSpec: which problems to tune, and reading it from what people write.
#ifndef MOETUNE_TUNER_SWEEP_SPEC_H_
#define MOETUNE_TUNER_SWEEP_SPEC_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/problem.h"
#include "tuner/model.h"
#include "tuner/routing.h"

namespace moetune {

struct SweepSpec {
  std::vector<Problem> problems;  // taken as they are
  std::vector<Model> models;      // and every combination of these with the lists below
  std::vector<OpKind> ops = {OpKind::kForward};
  std::vector<Fusions> fusions;  // empty: those that each GEMM is made for
  std::vector<int64_t> tokens = {1, 16, 64, 256, 1024, 4096, 16384};
  std::vector<Routing> routing = {Routing{}};
  Dtype dtype = Dtype::kBf16;
  Histograms histograms;  // of every captured routing that is named above
};

// The problems in tuning order, each once: by shape, then ascending tokens. InvalidArgument when
// there are none or one is not valid.
absl::StatusOr<std::vector<Problem>> ExpandProblems(const SweepSpec& spec);

// Reads the text of a spec file (message moetune.v1.SweepSpec). Errors give line and field.
absl::StatusOr<SweepSpec> ParseSweepSpec(std::string_view text);

// Reads the text of a Hugging Face config.json: num_experts | num_local_experts | n_routed_experts,
// num_experts_per_tok, hidden_size, moe_intermediate_size or else intermediate_size, in text_config
// or at the top. An error names the field that is missing or wrong.
absl::StatusOr<Model> ReadHfConfig(std::string_view json, std::string_view name);

// Reads captured rows per expert, a JSON list like [12, 0, 7], into `histograms`; returns the
// routing that names it.
absl::StatusOr<Routing> ReadHistogram(std::string_view json, Histograms& histograms);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SWEEP_SPEC_H_
