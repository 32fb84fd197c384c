// reference, host half: the family that runs every problem, on every device from sm_75 on.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "kernels/device/combine.cuh"
#include "kernels/device/scheduler.cuh"
#include "kernels/family.h"

namespace moetune {
namespace {

const Space& ReferenceSpace() {
  static const Space space = {{
      {"block_k", "columns of k per step", {{16}, {32}}},
      {"block_m", "rows per tile", {{16}, {32}, {64}, {128}}},
      {"block_n", "columns of n per tile", {{32}, {64}, {128}}},
      {"threads", "per CTA", {{64}, {128}, {256}}},
  }};
  return space;
}

// Accumulators per thread: fewer than 4 leaves a thread without a vector of columns, more than 64
// spills.
constexpr int64_t kMinPerThread = 4;
constexpr int64_t kMaxPerThread = 64;

absl::Status Check(const Problem& problem, const Config& config, const DeviceSpec&) {
  const int64_t per_thread =
      config.Get("block_m") * config.Get("block_n") / config.Get("threads", 1);
  if (per_thread < kMinPerThread || per_thread > kMaxPerThread) {
    return absl::InvalidArgumentError(
        absl::StrFormat("reference: block_m * block_n / threads is %d; allowed: %d to %d",
                        per_thread, kMinPerThread, kMaxPerThread));
  }
  const int64_t tiles = MaxRowTiles(problem.rows, problem.shape.experts, config.Get("block_m")) *
                        CeilDiv(problem.shape.n, config.Get("block_n"));
  if (tiles > INT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrFormat("reference: %d tiles; a grid holds %d", tiles, INT32_MAX));
  }
  return absl::OkStatus();
}

Plan MakePlan(const Problem& problem, const Config& config, const DeviceSpec&, const KernelFacts&) {
  const Shape& shape = problem.shape;
  Plan plan;
  plan.grid[0] = MaxRowTiles(problem.rows, shape.experts, config.Get("block_m")) *
                 CeilDiv(shape.n, config.Get("block_n"));
  plan.threads = static_cast<int>(config.Get("threads"));
  if (shape.Has(kCombine)) plan.combine_ctas = CombineCtas(problem.tokens, shape.n);
  return plan;  // its shared memory is static
}

Tile TileOf(const Config& config) {
  return {config.Get("block_m"), config.Get("block_n"), config.Get("block_k")};
}

// For each FMA an operand fragment is read from shared memory 1/m + 1/n times for an m x n thread
// tile; about two issue slots a read.
double Tflops(const Config& config, double, const DeviceSpec& device) {
  const auto per_thread = static_cast<double>(config.Get("block_m") * config.Get("block_n")) /
                          static_cast<double>(config.Get("threads"));
  const double n = per_thread >= 32 ? 8 : 4;
  const double m = std::max(per_thread / n, 1.0);
  return 0.5 * device.fma_tflops / (1 + 2 * (1 / m + 1 / n) / 4);
}

}  // namespace

extern const Family kReferenceFamily;
const Family kReferenceFamily = {
    .name = "reference",
    .summary = "fp32 FMAs on shared-memory tiles: any shape, alignment and dtype",
    .source = "kernels/families/reference.cuh",
    .min_compute_capability = 75,
    .space = ReferenceSpace,
    .check = Check,
    .plan = MakePlan,
    .tile = TileOf,
    .tflops = Tflops,
};

}  // namespace moetune
