#include "kernels/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
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

// What differs between CTAs whose warps all copy and multiply in turn (fitted to sm80_mma on an
// H100) and those whose copies have warps of their own and go on from tile to tile (to sm90_wgmma
// on an H200).
struct Pace {
  double sm_bytes_per_us;   // that an SM takes in, from L2
  double side_by_side;      // exponent of the sum of what goes on at once
  double refill_us;         // of a pipeline: the latency of copies under load
  double fill_us;           // to ask for 64 columns that a pipeline holds, at the start
  double last_tile;         // of an SM's last tile of W, while others have ended
  double tiles_at_the_end;  // that the CTA which ends last has more than its share
  double claimed_ahead;     // of a tile, more than that where tiles are drawn
  double read_again;        // of W by an expert's further tiles, as far as memory waits
};
constexpr Pace kInTurn = {.sm_bytes_per_us = 56e3,
                          .side_by_side = 3,
                          .refill_us = 1.2,
                          .fill_us = 0,
                          .last_tile = 0.15,
                          .tiles_at_the_end = 1.2,
                          .claimed_ahead = 0,
                          .read_again = 1};
constexpr Pace kCopiedAside = {.sm_bytes_per_us = 66e3,
                               .side_by_side = 12,
                               .refill_us = 1.02,
                               .fill_us = 0.03,
                               .last_tile = 0.03,
                               .tiles_at_the_end = 0.15,
                               .claimed_ahead = 0.18,
                               .read_again = 0.25};

constexpr double kLaunchUs = 3.0;        // an empty kernel, timed with events
constexpr double kTileOverheadUs = 0.5;  // prologue and barriers of one tile
constexpr double kStoredPerUs = 20e3;    // elements of a tile that an SM stores, as far as it waits
constexpr double kMovedPower = 0.17;     // of L2's time, for which products have no power
constexpr double kMemoryOfRefills = 3;   // exponent of the sum of memory's time and the refills'
constexpr double kEndIfSorted = 0.5;     // of the tiles at the end, where these are the smallest
constexpr double kGatherTogether = 1.06;  // CTAs that wait for each other's gathered rows over one
constexpr double kAgainApart = 1.1;       // reading W again later over reading it side by side
constexpr double kSortUs = 2.0;           // experts by their tokens, with what their order costs
constexpr double kSortPairsUs = 0.047;    // for each pair of experts that a thread compares
constexpr double kHalfLines = 1.5;        // reading half a cache line at a time over two whole ones
constexpr double kSingleLines = 1.025;    // the same of one line
constexpr int kLineBytes = 128;

const Pace& PaceOf(const Tile& tile) { return tile.copied_aside ? kCopiedAside : kInTurn; }

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

// The integral of ceil(x / m) from 0 to x.
double IntegralOfTiles(double x, double m) {
  const double whole = std::floor(x / m);
  return m * whole * (whole + 1) / 2 + (x - whole * m) * (whole + 1);
}

// Tiles of at most `m` rows of an expert that has about `rows`: what chance adds or takes, and what
// experts of one share differ by, is spread evenly around it.
double TilesOfExpert(double rows, double m) {
  const double spread = std::sqrt(3 * rows) + 0.1 * rows;
  const double least = std::max(rows - spread, 1.0);
  const double most = rows + spread;
  return (IntegralOfTiles(most, m) - IntegralOfTiles(least, m)) / (most - least);
}

// What `problem` is expected to have of these.
Work ExpectedWork(const Problem& problem, const Tile& tile) {
  const auto block_m = static_cast<double>(tile.m);
  const auto step_m = static_cast<double>(tile.step_m);
  const double experts = static_cast<double>(problem.shape.experts);
  const double mean = static_cast<double>(problem.rows) / experts;
  const bool balanced = problem.routing.kinds == kBalanced;
  Work work;
  for (const double quantile : kLoadQuantiles) {
    const double all_rows = balanced ? mean : mean * quantile;
    const double touched = balanced ? std::min(all_rows, 1.0) : 1 - std::exp(-all_rows);
    if (touched <= 0) continue;
    const double rows = all_rows / touched;
    const double tiles = balanced ? std::ceil(rows / block_m) : TilesOfExpert(rows, block_m);
    work.touched_experts += touched;
    work.row_tiles += touched * tiles;
    const double made = tile.step_m > 0 ? rows + tiles * step_m / 2 : tiles * block_m;
    work.rows_made += touched * std::min(made, tiles * block_m);
  }
  const double share = experts / static_cast<double>(kLoadQuantiles.size());
  return {work.touched_experts * share, work.row_tiles * share, work.rows_made * share};
}

// Rounds of tiles, as many at once as `turns` says. Routed experts' tiles differ: the CTA that
// ends last had the larger ones, and a drawn one was claimed before others became free.
double Waves(const Problem& problem, double turns, const Tile& tile, bool draws_tiles) {
  const Pace& pace = PaceOf(tile);
  if (problem.routing.kinds == kBalanced) return std::ceil(turns);
  const double at_the_end = (pace.tiles_at_the_end + (draws_tiles ? pace.claimed_ahead : 0)) *
                            (tile.sorted ? kEndIfSorted : 1);
  return turns <= 1 ? 1 : turns + std::min(turns, at_the_end);
}

// Of work that goes on at once: the longest, and more where another takes about as long.
double SumUs(std::initializer_list<double> parts, double exponent) {
  const double longest = std::max(parts);
  double sum = 0;
  for (const double us : parts) sum += std::pow(us / longest, exponent);
  return longest * std::pow(sum, 1 / exponent);
}

// Over reading W's rows two cache lines at a time or more.
double LinesFactor(const Tile& tile, int element_bytes) {
  const int64_t bytes = tile.run_k > 0 ? tile.run_k * element_bytes : kLineBytes;
  if (bytes < kLineBytes) return kHalfLines;
  return bytes < 2 * kLineBytes ? kSingleLines : 1;
}

// Rows of X come from L2; memory is waited for by the rows of W. Those of an expert are read
// again for its further tiles, from memory where these come after more of W than L2 holds. The last
// tile has nothing but itself to read and goes at the pace of one SM.
double MemoryUs(const Problem& problem, const Tile& tile, const Work& work,
                const DeviceSpec& device, double resident, double turns) {
  const Pace& pace = PaceOf(tile);
  const Shape& shape = problem.shape;
  const int bytes = DtypeBytes(shape.dtype);
  const double column_bytes = static_cast<double>(shape.k) * bytes;
  const double expert_bytes = static_cast<double>(shape.n) * column_bytes;
  const double again_bytes = (work.row_tiles - work.touched_experts) * expert_bytes;
  const double again = pace.read_again * (tile.along_n ? kAgainApart : 1);
  const bool l2_keeps = !tile.along_n || 2 * expert_bytes <= static_cast<double>(device.l2_bytes);
  const double memory_bytes = OpOf(shape.op).bytes(problem, std::llround(work.touched_experts)) +
                              (l2_keeps ? 0 : again_bytes);
  const double last_us =
      resident * static_cast<double>(tile.n) * column_bytes / pace.sm_bytes_per_us;
  const bool alone = tile.copied_aside && turns <= 1;  // no other tile of its SM came before
  return std::max(LinesFactor(tile, bytes) * memory_bytes / (device.copy_gbps * 1e3) +
                      again * again_bytes / (pace.sm_bytes_per_us * device.sm_count) +
                      (alone ? 0 : pace.last_tile * last_us),
                  last_us);
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
  const Pace& pace = PaceOf(tile);
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
  const double turns = tiles / (sms * resident);
  const double waves = Waves(problem, turns, tile, plan.draws_tiles);

  const double made_m = work.rows_made / work.row_tiles;
  const double sm_tflops = family.tflops(candidate.config, made_m, device) / sms;
  const double products_us = resident * 2 * made_m * n * k / (sm_tflops * 1e6);
  // Each CTA fills its pipeline k / tile.k times, in which the others go on.
  const double refills_us = pace.refill_us * std::max(1.0, k / static_cast<double>(tile.k));
  const double stored = tile.stored_aside ? 0 : made_m / static_cast<double>(tile.ctas) * n;
  const double gathers = tile.ctas > 1 && shape.Has(kGather) ? kGatherTogether : 1;
  const double compute_us =
      waves * gathers *
      (std::hypot(products_us, refills_us) + resident * (kTileOverheadUs + stored / kStoredPerUs));

  const double l2_bytes = tiles * (std::min(m, made_m) + n) * k * DtypeBytes(shape.dtype);
  const double l2_us = l2_bytes / (pace.sm_bytes_per_us * device.sm_count);
  double memory_us = MemoryUs(problem, tile, work, device, resident, turns);
  double power_us = 0;
  if (tile.copied_aside) {
    memory_us = SumUs({memory_us, turns * resident * refills_us}, kMemoryOfRefills);
    power_us = turns * products_us + kMovedPower * l2_us;
  }

  const double pairs = tile.sorted ? static_cast<double>(shape.experts * shape.experts) : 0;
  double us = kLaunchUs + (tile.sorted ? kSortUs : 0) + kSortPairsUs * pairs / plan.threads +
              pace.fill_us * static_cast<double>(tile.k) / 64 +
              SumUs({compute_us, memory_us, l2_us, power_us}, pace.side_by_side);
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
