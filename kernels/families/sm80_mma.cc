// sm80_mma, host half: mma.sync on a cp.async pipeline, for sm_80 and later.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "kernels/cost_model.h"
#include "kernels/device/combine.cuh"
#include "kernels/device/divisor.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/scheduler.cuh"
#include "kernels/family.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

const Space& Sm80MmaSpace() {
  static const Space space = {{
      {"block_k", "columns of k per stage", {{32}, {64}}},
      {"block_m", "tokens per tile", {{8}, {16}, {32}, {64}, {128}}},
      {"block_n", "rows of W per tile", {{64}, {128}, {256}}},
      {"group_m", "row tiles walked together, m first", {{1}, {8}}, /*at_launch=*/true},
      {"skip_tail", "1: leave out fragments past an expert's last row", {{0}, {1}}},
      {"stages", "of the pipeline", {{3}, {4}, {5}, {6}}},
      {"swap_ab", "1: W fills the 16-row side of the mma, tokens the 8-column side", {{0}, {1}}},
      {"warps_m", "along the tokens", {{1}, {2}, {4}}},
      {"warps_n", "along the rows of W", {{1}, {2}, {4}, {8}}},
  }};
  return space;
}

struct Parameters {
  int64_t block_m, block_n, block_k, warps_m, warps_n, stages, group_m, swap_ab, skip_tail;

  explicit Parameters(const Config& config)
      : block_m(config.Get("block_m")),
        block_n(config.Get("block_n")),
        block_k(config.Get("block_k")),
        warps_m(config.Get("warps_m", 1)),
        warps_n(config.Get("warps_n", 1)),
        stages(config.Get("stages")),
        group_m(config.Get("group_m", 1)),
        swap_ab(config.Get("swap_ab")),
        skip_tail(config.Get("skip_tail")) {}

  int64_t threads() const { return 32 * warps_m * warps_n; }
  int64_t warp_m() const { return block_m / warps_m; }
  int64_t warp_n() const { return block_n / warps_n; }
  int64_t accumulators() const { return block_m * block_n / threads(); }
  int64_t shared_bytes() const { return stages * (block_m + block_n) * block_k * 2; }
};

absl::Status Illegal(std::string_view rule) {
  return absl::InvalidArgumentError(absl::StrFormat("sm80_mma: %s", rule));
}

// What the kernel can run at all.
absl::Status CheckKernel(const Parameters& p, const DeviceSpec& device) {
  const int64_t granule_m = p.swap_ab != 0 ? 8 : 16;  // the fragment of tokens
  if (p.block_m % (p.warps_m * granule_m) != 0) {
    return Illegal(absl::StrFormat("block_m %d is no multiple of %d for each of %d warps_m",
                                   p.block_m, granule_m, p.warps_m));
  }
  if (p.warp_n() < 32) {
    return Illegal("a warp covers at least 32 rows of W, to store 16 bytes a lane");
  }
  if (p.shared_bytes() > device.shared_bytes_per_block) {
    return Illegal(absl::StrFormat("the stages take %d bytes of shared memory; %s has %d",
                                   p.shared_bytes(), device.name, device.shared_bytes_per_block));
  }
  if (p.accumulators() > 128) {
    return Illegal(
        absl::StrFormat("%d accumulators a thread; above 128 they spill", p.accumulators()));
  }
  return absl::OkStatus();
}

// What runs, but is never the best.
absl::Status CheckWorthwhile(const Parameters& p) {
  const int64_t warps = p.warps_m * p.warps_n;
  if (warps != 4 && warps != 8) return Illegal("a CTA has 4 or 8 warps");
  if (p.accumulators() < 8) return Illegal("fewer than 8 accumulators a thread");
  if (warps == 8 && p.accumulators() < 32) return Illegal("8 warps with little work each");
  if (p.warp_m() > 64 || p.warp_n() > 64) return Illegal("a warp's part is at most 64 x 64");
  if (p.block_k == 32 && p.stages < 4) return Illegal("block_k 32 with a shallow pipeline");
  if (p.swap_ab != 0 && p.block_m > 32) return Illegal("swap_ab serves experts of few tokens");
  const int64_t token_fragments = p.warp_m() / (p.swap_ab != 0 ? 8 : 16);
  if (p.skip_tail != 0 && token_fragments < 2) return Illegal("skip_tail has no fragment to skip");
  if (p.group_m > 1 && p.block_m < 64) return Illegal("group_m serves experts of many row tiles");
  return absl::OkStatus();
}

absl::Status Check(const Problem& problem, const Config& config, const DeviceSpec& device) {
  const Parameters p(config);
  const Shape& shape = problem.shape;
  if (shape.dtype == Dtype::kFp32) return Illegal("operands are bf16 or fp16");
  if (shape.k % 8 != 0) {
    return Illegal(
        absl::StrFormat("k %d is no multiple of 8: rows are copied 16 bytes at a time", shape.k));
  }
  if (!OffsetsFit(shape.Has(kGather) ? problem.tokens : problem.rows, shape.k)) {
    return Illegal("x takes more than 64 GiB");
  }
  RETURN_IF_ERROR(CheckKernel(p, device));
  RETURN_IF_ERROR(CheckWorthwhile(p));
  const int64_t tiles =
      MaxRowTiles(problem.rows, shape.experts, p.block_m) * CeilDiv(shape.n, p.block_n);
  if (tiles > kMaxSize) {
    return Illegal(absl::StrFormat("%d tiles; at most %d are counted", tiles, kMaxSize));
  }
  return absl::OkStatus();
}

Plan MakePlan(const Problem& problem, const Config& config, const DeviceSpec& device,
              const KernelFacts& facts) {
  const Parameters p(config);
  const Shape& shape = problem.shape;
  Plan plan;
  plan.threads = static_cast<int>(p.threads());
  plan.dynamic_shared_bytes = p.shared_bytes();
  plan.operand_alignment = 16;
  plan.most_x_elements = int64_t{kNoOffset} * 8;  // offsets of X count 16 bytes
  plan.launch = {.top_k = MakeDivisor(static_cast<unsigned>(shape.top_k)),
                 .group_m = static_cast<int>(p.group_m)};
  const int resident =
      facts.resident_ctas > 0 ? facts.resident_ctas : ResidentCtas(device, plan, facts.registers);
  const int64_t tiles =
      MaxRowTiles(problem.rows, shape.experts, p.block_m) * CeilDiv(shape.n, p.block_n);
  plan.grid[0] = std::min<int64_t>(tiles, int64_t{device.sm_count} * resident);
  if (shape.Has(kCombine)) plan.combine_ctas = CombineCtas(problem.tokens, shape.n);
  return plan;
}

Tile TileOf(const Config& config) {
  const Parameters p(config);
  return {.m = p.block_m, .n = p.block_n, .k = p.block_k * (p.stages - 1), .run_k = p.block_k};
}

// The tensor cores' rate under mma.sync, less what reading fragments from shared memory takes: 128
// bytes a clock, against 1,024 multiply-adds a clock.
double Tflops(const Config& config, double, const DeviceSpec& device) {
  const Parameters p(config);
  // On sm_90 and sm_100 only wgmma and tcgen05 reach the full rate.
  const double fraction =
      device.compute_capability / 10 == 9 || device.compute_capability / 10 == 10 ? 0.62 : 0.95;
  const auto warps = static_cast<double>(p.warps_m * p.warps_n);
  const double shared_clocks = warps * static_cast<double>(p.warp_m() + p.warp_n()) * 32 / 128;
  const double mma_clocks = static_cast<double>(p.block_m * p.block_n) * 16 / 1024;
  const double clocks =
      std::max(mma_clocks, shared_clocks) + 0.2 * std::min(mma_clocks, shared_clocks);
  return fraction * device.matrix_tflops * mma_clocks / clocks;
}

}  // namespace

extern const Family kSm80MmaFamily;
const Family kSm80MmaFamily = {
    .name = "sm80_mma",
    .summary = "mma.sync tensor cores on a cp.async pipeline: bf16 and fp16, k a multiple of 8",
    .source = "kernels/families/sm80_mma.cuh",
    .min_compute_capability = 80,
    .space = Sm80MmaSpace,
    .check = Check,
    .plan = MakePlan,
    .tile = TileOf,
    .tflops = Tflops,
};

}  // namespace moetune
