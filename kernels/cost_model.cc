#include "kernels/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "kernels/registry.h"

namespace moetune {
namespace {

// Rows of an expert relative to the mean, at the middles of 16 equal shares of the experts:
// quantiles of a log-normal of sigma 0.5, about what softmax routing with expert biases of 0.3
// gives.
constexpr std::array<double, 16> kLoadQuantiles = {0.35, 0.45, 0.53, 0.60, 0.66, 0.73, 0.79, 0.85,
                                                   0.92, 0.99, 1.07, 1.17, 1.29, 1.44, 1.68, 2.48};

constexpr double kLaunchUs = 3.0;        // an empty kernel, timed with events
constexpr double kRoundTripUs = 0.3;     // of a pipeline to memory, as far as others do not hide it
constexpr double kL2OverMemory = 2.3;    // L2 bandwidth over that of memory
constexpr double kNotHidden = 0.2;       // of compute, memory and L2, by the longest of them
constexpr double kTileOverheadUs = 1.0;  // prologue, epilogue and barriers of one tile
constexpr double kLastTile = 0.3;        // of an SM's last tile of W, while others have ended
constexpr double kHalfLines = 1.5;       // reading half a cache line at a time over whole ones
constexpr int kLineBytes = 128;

int MaxThreadsPerSm(int compute_capability) {
  switch (compute_capability) {
    case 75:
      return 1024;
    case 86:
    case 87:
    case 89:
    case 120:
      return 1536;
    default:
      return 2048;
  }
}

struct Work {
  double touched_experts = 0;
  double row_tiles = 0;
  double rows_made = 0;  // by all of them, those past an expert's end included
};

// What `problem` is expected to have of these.
Work ExpectedWork(const Problem& problem, const Tile& tile) {
  const auto block_m = static_cast<double>(tile.m);
  const auto step_m = static_cast<double>(tile.step_m);
  const double experts = static_cast<double>(problem.shape.experts);
  const double mean = static_cast<double>(problem.rows) / experts;
  const bool balanced = problem.routing.kinds == kBalanced;
  Work work;
  for (const double quantile : kLoadQuantiles) {
    const double rows = balanced ? mean : mean * quantile;
    const double touched = balanced ? std::min(rows, 1.0) : 1 - std::exp(-rows);
    if (touched <= 0) continue;
    // Given that an expert has rows, its last tile is half full on average.
    const double tiles = std::max(1.0, rows / touched / block_m + (balanced ? 0.0 : 0.5));
    work.touched_experts += touched;
    work.row_tiles += touched * tiles;
    const double made = tile.step_m > 0 ? rows / touched + tiles * step_m / 2 : tiles * block_m;
    work.rows_made += touched * std::min(made, tiles * block_m);
  }
  const double share = experts / static_cast<double>(kLoadQuantiles.size());
  return {work.touched_experts * share, work.row_tiles * share, work.rows_made * share};
}

// Rounds of tiles, as many at once as `turns` says. Routed experts' tiles differ: the CTA that
// ends last had the larger ones, about a tile more than its share.
double Waves(const Problem& problem, double turns) {
  if (problem.routing.kinds == kBalanced) return std::ceil(turns);
  return turns <= 1 ? 1 : turns + 1;
}

}  // namespace

int ResidentCtas(const DeviceSpec& device, const Plan& plan, int registers_per_thread) {
  const int64_t threads = std::max(plan.threads, 1);
  int64_t ctas = MaxThreadsPerSm(device.compute_capability) / threads;
  if (plan.dynamic_shared_bytes > 0) {
    // The system keeps 1 KB of every CTA's shared memory.
    ctas = std::min(ctas, device.shared_bytes_per_sm / (plan.dynamic_shared_bytes + 1024));
  }
  if (registers_per_thread > 0) {
    const int64_t granular = (registers_per_thread + 7) / 8 * 8;  // allocated by 8 a thread
    ctas = std::min(ctas, device.registers_per_sm / (granular * threads));
  }
  return static_cast<int>(std::max<int64_t>(ctas, 1));
}

double EstimateUs(const Problem& problem, const Candidate& candidate, const DeviceSpec& device,
                  const KernelFacts* facts) {
  const Family& family = *candidate.family;
  const Shape& shape = problem.shape;
  const KernelFacts known = facts == nullptr ? KernelFacts{} : *facts;
  Plan plan = family.plan(problem, candidate.config, device, known);
  plan.dynamic_shared_bytes += known.static_shared_bytes;
  const Tile tile = family.tile(candidate.config);
  const auto m = static_cast<double>(tile.m);
  const auto n = static_cast<double>(tile.n);
  const auto k = static_cast<double>(shape.k);

  const Work work = ExpectedWork(problem, tile);
  const double tiles = work.row_tiles * std::ceil(static_cast<double>(shape.n) / n);
  const double sms = std::floor(static_cast<double>(device.sm_count) /
                                static_cast<double>(tile.ctas));  // or groups of as many
  const double resident = std::min<double>(
      known.resident_ctas > 0 ? known.resident_ctas : ResidentCtas(device, plan, known.registers),
      std::ceil(tiles / sms));
  const double waves = Waves(problem, tiles / (sms * resident));

  const double sm_tflops = family.tflops(candidate.config, device) / sms;
  const double made_m = work.rows_made / work.row_tiles;
  const double tile_us =
      2 * made_m * n * k / (sm_tflops * 1e6) + (tile.stored_aside ? 0 : kTileOverheadUs);
  const double compute_us = waves * resident * tile_us;

  const int bytes = DtypeBytes(shape.dtype);
  const double l2_bytes_per_us = device.copy_gbps * kL2OverMemory * 1e3;
  const double l2_us = tiles * (std::min(m, made_m) + n) * k * bytes / l2_bytes_per_us;

  // Rows of X come from L2; memory is waited for by the rows of W. Each tile fills its pipeline
  // k / tile.k times, so deeper ones wait less often, and ends with nothing but itself to read:
  // that goes at an SM's share of L2, and wide tiles end late.
  const double memory_bytes = OpOf(shape.op).bytes(problem, std::llround(work.touched_experts));
  const double lines = tile.run_k > 0 && tile.run_k * bytes < kLineBytes ? kHalfLines : 1;
  const double round_trips = waves * std::max(1.0, k / static_cast<double>(tile.k));
  const double last_us = resident * n * k * bytes * sms / l2_bytes_per_us;
  const double memory_us = lines * memory_bytes / (device.copy_gbps * 1e3) +
                           kRoundTripUs * round_trips + kLastTile * last_us;

  const double longest_us = std::max({compute_us, memory_us, l2_us});
  double us = kLaunchUs + longest_us + kNotHidden * (compute_us + memory_us + l2_us - longest_us);
  if (plan.combine_ctas > 0) {  // the workspace is written and read
    const auto workspace_bytes = static_cast<double>(WorkspaceBytes(problem));
    us += kLaunchUs + 2 * workspace_bytes / (device.copy_gbps * 1e3);
  }
  return us;
}

double FloorUs(const Problem& problem, int64_t touched_experts, const DeviceSpec& device) {
  const Op& op = OpOf(problem.shape.op);
  const double rate =
      problem.shape.dtype == Dtype::kFp32 ? device.fma_tflops : device.matrix_tflops;
  return std::max(op.flops(problem) / (rate * 1e6),
                  op.bytes(problem, touched_experts) / (device.copy_gbps * 1e3));
}

double FloorUs(const Problem& problem, const DeviceSpec& device) {
  return FloorUs(problem, std::llround(ExpectedWork(problem, Tile{.m = kMaxSize}).touched_experts),
                 device);
}

absl::StatusOr<Candidate> DefaultCandidate(const Problem& problem, const DeviceSpec& device) {
  Candidate best;
  double best_us = std::numeric_limits<double>::infinity();
  for (const Family* family : Families()) {
    for (Config& config : EnumerateLegal(*family, problem, device)) {
      Candidate candidate{family, std::move(config)};
      const double us = EstimateUs(problem, candidate, device, nullptr);
      if (us < best_us) {
        best_us = us;
        best = std::move(candidate);
      }
    }
  }
  if (best.family == nullptr) {
    return absl::NotFoundError(absl::StrFormat("no kernel family runs %s on %s (%s)",
                                               ProblemKey(problem), device.name,
                                               ArchName(device.compute_capability)));
  }
  return best;
}

}  // namespace moetune
