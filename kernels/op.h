// Op: the meaning of one computation: which arguments it takes, and how much work a problem is.
#ifndef MOETUNE_KERNELS_OP_H_
#define MOETUNE_KERNELS_OP_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "kernels/device/args.h"
#include "kernels/problem.h"

namespace moetune {

struct Op {
  OpKind kind;
  std::string_view name;
  std::string_view summary;

  // OK when the pointers and sizes in `args` are those that a problem of this shape needs: nothing
  // missing, rows consistent with tokens and top_k. Never reads device memory.
  absl::Status (*check_args)(const Shape& shape, const MoeArgs& args);

  // Multiply-adds counted twice, over the routed rows.
  double (*flops)(const Problem& problem);

  // Compulsory traffic: the weights of `touched_experts` experts once, each activation once.
  double (*bytes)(const Problem& problem, int64_t touched_experts);
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_OP_H_
