// sm90_wgmma, host half: wgmma fed by TMA and cp.async, for sm_90.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "kernels/device/combine.cuh"
#include "kernels/device/divisor.cuh"
#include "kernels/device/expert_tiles.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/tile_ring.cuh"
#include "kernels/family.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

const Space& Sm90WgmmaSpace() {
  static const Space space = {{
      {"block_k", "columns of k per stage", {{64}, {128}, {256}}},
      {"block_m",
       "most tokens per tile of a CTA",
       {{8}, {16}, {32}, {64}, {96}, {128}, {160}, {192}}},
      {"block_n", "rows of W per tile", {{64}, {128}, {192}, {256}}},
      {"cluster", "CTAs that share rows of W, half of the tokens each", {{1}, {2}}},
      {"consumers", "warpgroups that multiply", {{2}, {3}}},
      {"group_m", "row tiles walked together, m first", {{1}, {16}}, /*at_launch=*/true},
      {"pingpong", "1: consumers take turns at tiles, 0: they share each", {{0}, {1}}},
      {"sort", "1: tiles of most tokens first", {{0}, {1}}, /*at_launch=*/true},
      {"stages", "of the pipeline", {{3}, {4}, {5}, {6}, {7}, {8}}},
      {"tail_step", "tokens between the widths that a tile is made in", {{8}, {16}}},
  }};
  return space;
}

// The config, and the sizes that the device half (device/wgmma_tile.cuh) makes of it.
struct Parameters {
  int64_t block_k, block_m, block_n, cluster, consumers, group_m, pingpong, sort, stages, tail_step;

  explicit Parameters(const Config& config)
      : block_k(config.Get("block_k")),
        block_m(config.Get("block_m")),
        block_n(config.Get("block_n")),
        cluster(config.Get("cluster", 1)),
        consumers(config.Get("consumers", 1)),
        group_m(config.Get("group_m", 1)),
        pingpong(config.Get("pingpong")),
        sort(config.Get("sort")),
        stages(config.Get("stages")),
        tail_step(config.Get("tail_step")) {}

  int64_t threads() const { return 128 * (1 + consumers); }
  int64_t groups() const { return pingpong != 0 ? 1 : consumers; }  // that share a tile
  int64_t blocks() const { return block_n / (64 * groups()); }      // of 64 rows of W, of a group
  int64_t accumulators() const { return blocks() * block_m / 2; }   // a thread
  // Wide tiles differ much in their work, so a free CTA draws its next one; narrow ones wait for
  // memory all alike. A cluster keeps step with the others that read the same W.
  bool draws_tiles() const { return cluster == 1 && block_m > 32; }
  int64_t stage_bytes() const { return (block_m + block_n) * block_k * 2; }

  int64_t SharedBytes(const Shape& shape, int64_t of_stages) const {
    const int64_t columns = (shape.Has(kSwiglu) ? 32 : 64) * blocks();
    const int64_t staging = consumers * 2 * std::min<int64_t>(block_m, 16) * (columns * 2 + 16);
    const int64_t targets = consumers * block_m * 8;
    return of_stages * (stage_bytes() + 16) + staging + kTileRingBytes + targets +
           shape.experts * int64_t{sizeof(ExpertTiles)};
  }
};

// More were never run: their table takes the memory of a stage.
constexpr int64_t kMostExperts = 3072;

absl::Status Illegal(std::string_view rule) {
  return absl::InvalidArgumentError(absl::StrFormat("sm90_wgmma: %s", rule));
}

absl::Status CheckProblem(const Shape& shape) {
  if (shape.dtype == Dtype::kFp32) return Illegal("operands are bf16 or fp16");
  if (shape.k % 8 != 0) {
    return Illegal(
        absl::StrFormat("k %d is no multiple of 8: TMA takes pitches of 16 bytes", shape.k));
  }
  if (shape.Has(kSwiglu) && shape.n % 16 != 0) {
    return Illegal(
        absl::StrFormat("n %d is no multiple of 16: swiglu reads 8 rows of gate beside "
                        "8 of up",
                        shape.n));
  }
  if (shape.experts > kMostExperts) {
    return Illegal(absl::StrFormat("%d experts; at most %d", shape.experts, kMostExperts));
  }
  return absl::OkStatus();
}

// What the kernel can run at all.
absl::Status CheckKernel(const Parameters& p, const Shape& shape, const DeviceSpec& device) {
  if (p.pingpong != 0 && p.consumers != 2) return Illegal("pingpong takes two consumers");
  if (p.block_n % (64 * p.groups()) != 0) {
    return Illegal(absl::StrFormat("block_n %d is no multiple of 64 for each of %d warpgroups",
                                   p.block_n, p.groups()));
  }
  // fp32 outputs are stored element by element, which takes registers for the addresses: the more
  // where gate and up are stored too.
  const bool fp32 = shape.output == Dtype::kFp32;
  const int64_t most = fp32 && shape.Has(kPreact) ? 80 : fp32 || p.consumers == 3 ? 96 : 192;
  if (p.accumulators() > most) {
    return Illegal(
        absl::StrFormat("%d accumulators a thread; with %d consumers and %s output at "
                        "most %d",
                        p.accumulators(), p.consumers, DtypeName(shape.output), most));
  }
  const bool moves_rows = (shape.fusions & (kGather | kScatter | kCombine)) != 0;
  if (moves_rows && p.accumulators() > 160 && p.pingpong != 0) {  // found by compiling them all
    return Illegal("registers of a consumer spill");
  }
  const int64_t bytes = p.SharedBytes(shape, p.stages);
  if (bytes > device.shared_bytes_per_block) {
    return Illegal(absl::StrFormat("it takes %d bytes of shared memory; %s has %d", bytes,
                                   device.name, device.shared_bytes_per_block));
  }
  return absl::OkStatus();
}

// What runs, but is never the best.
absl::Status CheckWorthwhile(const Parameters& p, const Shape& shape, const DeviceSpec& device) {
  if (p.stages < 8 && p.SharedBytes(shape, p.stages + 1) <= device.shared_bytes_per_block) {
    return Illegal("a deeper pipeline fits");
  }
  if (p.block_k > 128 && p.block_m > 32) return Illegal("block_k 256 serves narrow tiles");
  if (p.blocks() > 2) return Illegal("a warpgroup has at most 128 rows of W");
  if (p.tail_step < 16 && p.block_m <= 64) return Illegal("tail_step 8 serves wide tiles");
  if (p.block_m < 64 && (p.consumers == 3 || p.cluster == 2)) {
    return Illegal("narrow tiles wait for memory: two consumers, without a cluster");
  }
  if (p.block_m < 64 && p.pingpong != 0 && p.block_n > 64) {
    return Illegal("two consumers share a narrow tile of more than 64 rows of W");
  }
  if (p.sort != 0 && shape.experts > kMostSorted) {
    return Illegal(absl::StrFormat("sorting %d experts; at most %d", shape.experts, kMostSorted));
  }
  return absl::OkStatus();
}

int64_t MostTiles(const Problem& problem, const Parameters& p) {
  return MaxRowTiles(problem.rows, problem.shape.experts, p.block_m * p.cluster) *
         CeilDiv(problem.shape.n, p.block_n);
}

absl::Status Check(const Problem& problem, const Config& config, const DeviceSpec& device) {
  const Parameters p(config);
  if (device.compute_capability != 90) return Illegal("wgmma is an instruction of sm_90 alone");
  RETURN_IF_ERROR(CheckProblem(problem.shape));
  RETURN_IF_ERROR(CheckKernel(p, problem.shape, device));
  RETURN_IF_ERROR(CheckWorthwhile(p, problem.shape, device));
  if (problem.shape.Has(kGather) && !OffsetsFit(problem.tokens, problem.shape.k)) {
    return Illegal("x takes more than 64 GiB");
  }
  const int64_t tiles = MostTiles(problem, p);
  if (tiles > kMaxSize) {
    return Illegal(absl::StrFormat("%d tiles; at most %d are counted", tiles, kMaxSize));
  }
  return absl::OkStatus();
}

// W: (k, n, experts), or with swiglu 8 rows of gate and 8 of up in turn.
TensorView ViewOfW(const Shape& s, const Parameters& p) {
  const int64_t row = s.k * 2;
  if (s.Has(kSwiglu)) {
    return {.rank = 5,
            .sizes = {s.k, 8, 2, s.n / 16, s.experts},
            .pitches = {row, s.n / 2 * row, 8 * row, s.n * row},
            .box = {64, 8, 2, static_cast<int>(p.block_n / 16 / p.cluster), 1}};
  }
  return {.rank = 3,
          .sizes = {s.k, s.n, s.experts},
          .pitches = {row, s.n * row},
          .box = {64, static_cast<int>(p.block_n / p.cluster), 1}};
}

Plan MakePlan(const Problem& problem, const Config& config, const DeviceSpec& device,
              const KernelFacts&) {
  const Parameters p(config);
  const Shape& shape = problem.shape;
  Plan plan;
  plan.threads = static_cast<int>(p.threads());
  plan.dynamic_shared_bytes = p.SharedBytes(shape, p.stages);
  plan.operand_alignment = 16;
  plan.draws_tiles = p.draws_tiles();
  plan.launch = {.top_k = MakeDivisor(static_cast<unsigned>(shape.top_k)),
                 .group_m = static_cast<int>(p.group_m),
                 .sort = static_cast<int>(p.sort)};
  const int64_t clusters = std::min(MostTiles(problem, p), device.sm_count / p.cluster);
  plan.grid[0] = clusters * p.cluster;
  if (shape.Has(kCombine)) plan.combine_ctas = CombineCtas(problem.tokens, shape.n);
  plan.w = ViewOfW(shape, p);
  if (shape.Has(kGather)) {
    plan.most_x_elements = int64_t{kNoOffset} * 8;  // offsets of X count 16 bytes
  } else {
    plan.x = {.rank = 2,
              .sizes = {shape.k, problem.rows},
              .pitches = {shape.k * 2},
              .box = {64, static_cast<int>(std::min<int64_t>(p.block_m, 16))}};
  }
  return plan;
}

Tile TileOf(const Config& config) {
  const Parameters p(config);
  return {.m = p.block_m * p.cluster,
          .n = p.block_n,
          .k = p.block_k * (p.stages - 1),
          .step_m = std::min(p.block_m, p.tail_step) * p.cluster,
          .ctas = p.cluster,
          .run_k = p.block_k,
          .copied_aside = true,
          .stored_aside = p.pingpong != 0,
          .along_n = p.group_m == 1,
          .sorted = p.sort != 0};
}

// Products alone, over what the tensor cores sustain with all else.
constexpr double kProductsAlone = 1.25;
// Exponent of their sum with what shared memory takes: little more than the longer.
constexpr double kSideBySide = 4;

// An SM's products, and what they and the copies of their operands move through shared memory (128
// bytes a clock): neither hides the other wholly.
double Tflops(const Config& config, double rows, const DeviceSpec& device) {
  const Parameters p(config);
  const double tokens = rows / static_cast<double>(p.cluster);
  const auto block_n = static_cast<double>(p.block_n);
  const auto sms = static_cast<double>(device.sm_count);
  // Of 16 columns of k.
  const double flops = 2 * tokens * block_n * 16;
  const double products_us = flops * sms / (kProductsAlone * device.matrix_tflops * 1e6);
  const double read_bytes = block_n / 64 * (64 + tokens) * 32;
  const double written_bytes = (block_n + tokens) * 32;
  const double shared_bytes_per_us = device.fma_tflops / 2 * 1e6 / sms;  // 128 FMAs a clock as well
  const double shared_us = (read_bytes + written_bytes) / shared_bytes_per_us;
  const double us = std::pow(std::pow(products_us, kSideBySide) + std::pow(shared_us, kSideBySide),
                             1 / kSideBySide);
  return flops * sms / (us * 1e6);
}

}  // namespace

extern const Family kSm90WgmmaFamily;
const Family kSm90WgmmaFamily = {
    .name = "sm90_wgmma",
    .summary = "wgmma fed by TMA and cp.async: bf16 and fp16, k a multiple of 8, Hopper only",
    .source = "kernels/families/sm90_wgmma.cuh",
    .min_compute_capability = 90,
    .space = Sm90WgmmaSpace,
    .check = Check,
    .plan = MakePlan,
    .tile = TileOf,
    .tflops = Tflops,
};

}  // namespace moetune
