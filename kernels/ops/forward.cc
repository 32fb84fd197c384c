// forward: Y = X Wᵀ per expert, with the rows of X gathered, the rows of Y scattered and scaled or
// combined to those of tokens, and SwiGLU.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "kernels/op.h"

namespace moetune {
namespace {

absl::Status Missing(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrFormat("args.%s is null; %s", field, why));
}

absl::Status CheckSizes(const Shape& shape, const MoeArgs& args) {
  const auto check = [](std::string_view field, int64_t value, int64_t expected) {
    if (value == expected) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrFormat("args.%s is %d; the shape has %d", field, value, expected));
  };
  for (const absl::Status& status :
       {check("experts", args.experts, shape.experts), check("top_k", args.top_k, shape.top_k),
        check("n", args.n, shape.n), check("k", args.k, shape.k)}) {
    if (!status.ok()) return status;
  }
  if (args.top_k < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("args.top_k is %d; allowed: 1 and more", args.top_k));
  }
  if (args.tokens < 0 || args.tokens > kMaxSize / args.top_k) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "args.tokens is %d; tokens * top_k must be from 0 to %d", args.tokens, kMaxSize));
  }
  if (args.rows < 0 || args.rows > args.tokens * args.top_k) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "args.rows is %d; allowed: 0 to tokens * top_k = %d", args.rows, args.tokens * args.top_k));
  }
  return absl::OkStatus();
}

absl::Status CheckArgs(const Shape& shape, const MoeArgs& args) {
  if (args.experts != shape.experts || args.top_k != shape.top_k || args.n != shape.n ||
      args.k != shape.k || args.top_k < 1 || args.tokens < 0 ||
      args.tokens > kMaxSize / args.top_k || args.rows < 0 ||
      args.rows > args.tokens * args.top_k) {
    return CheckSizes(shape, args);
  }
  const bool empty = args.rows == 0;
  // Combine writes every token, zeros where there is no row.
  if (empty && (!shape.Has(kCombine) || args.tokens == 0)) return absl::OkStatus();
  if (args.x == nullptr && !empty) return Missing("x", "forward reads the activations");
  if (args.w == nullptr) return Missing("w", "forward reads the weights");
  if (args.y == nullptr) return Missing("y", "forward writes the output");
  if (args.row_counts == nullptr) return Missing("row_counts", "it gives the rows of each expert");
  if (args.row_index == nullptr && shape.ReadsIndex() && !empty) {
    return Missing("row_index", "gather, scatter and combine need the routing index");
  }
  if (args.scale == nullptr && shape.ReadsScale()) {
    return Missing("scale", "fusions scale and combine need the top-k weights");
  }
  if (args.preact == nullptr && shape.Has(kPreact)) {
    return Missing("preact", "fusion preact writes gate and up");
  }
  if (args.workspace == nullptr && shape.Has(kCombine)) {
    return Missing("workspace", "fusion combine needs WorkspaceBytes of it");
  }
  return absl::OkStatus();
}

double Flops(const Problem& problem) {
  return 2.0 * static_cast<double>(problem.rows) * static_cast<double>(problem.shape.n) *
         static_cast<double>(problem.shape.k);
}

double Bytes(const Problem& problem, int64_t touched_experts) {
  const Shape& s = problem.shape;
  const auto rows = static_cast<double>(problem.rows);
  const auto n = static_cast<double>(s.n);
  const auto k = static_cast<double>(s.k);
  const double x_rows =
      s.Has(kGather) ? static_cast<double>(std::min(problem.tokens, problem.rows)) : rows;
  double outputs = rows * static_cast<double>(OutputColumns(s));
  if (s.Has(kPreact)) outputs += rows * n;
  if (s.Has(kCombine)) outputs = static_cast<double>(problem.tokens) * n;
  return DtypeBytes(s.dtype) * (static_cast<double>(touched_experts) * n * k + x_rows * k) +
         DtypeBytes(s.output) * outputs;
}

}  // namespace

extern const Op kForwardOp;
const Op kForwardOp = {
    .kind = OpKind::kForward,
    .name = "forward",
    .summary = "Y = X Wᵀ per expert; fusions gather, scatter, scale, swiglu, preact, combine",
    .check_args = CheckArgs,
    .flops = Flops,
    .bytes = Bytes,
};

}  // namespace moetune
