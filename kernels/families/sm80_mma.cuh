// sm80_mma, device half: mma.sync on a cp.async pipeline, for sm_80 and every later architecture.
//
// A persistent kernel: CTA b works on tiles b, b + grid, b + 2 grid, ... of all experts. A tile is
// BLOCK_M tokens by BLOCK_N rows of W, made in steps of BLOCK_K along k. All threads are loaders
// and multipliers: in each step they wait for the oldest of STAGES stages, start the copy of the
// stage STAGES - 1 steps ahead (of the next tile, towards a tile's end), and multiply. So copies
// run on through the epilogue.
//
//   loader cursor      tile 0: k0 k1 k2 k3 | tile 1: k0 k1 ...
//   multiplier cursor        tile 0: k0 k1 k2 k3 | epilogue | tile 1: k0 ...
//
// The operand with 16-row fragments of mma.m16n8k16 ("major") is X, or with SWAP_AB W: then a
// fragment of tokens is 8 wide, for experts of few tokens. The order of k is the same in every
// config.
//
// Parameters: BLOCK_M, BLOCK_N, BLOCK_K, WARPS_M, WARPS_N, STAGES, SWAP_AB, SKIP_TAIL; the order of
// tiles comes with the launch (LaunchArgs).
// From the problem: OPERAND, OUTPUT, INDEX, WEIGHT, FUSE_*.
#include "kernels/device/args.h"
#include "kernels/device/combine.cuh"
#include "kernels/device/ptx.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/scheduler.cuh"
#include "kernels/device/store.cuh"
#include "kernels/device/swizzle.cuh"

namespace moetune {

constexpr int kThreads = 32 * WARPS_M * WARPS_N;
constexpr int kChunks = BLOCK_K / 8;  // of 16 bytes, in a row of a stage
constexpr int kRowsX = BLOCK_M;
constexpr int kRowsW = BLOCK_N;
constexpr int kRowBytes = BLOCK_K * 2;
constexpr int kStageBytes = (kRowsX + kRowsW) * kRowBytes;
constexpr int kRowsPerPass = kThreads / kChunks;  // rows that all threads copy at once

// Output columns of a tile. With swiglu 8 rows of gate alternate with the same 8 of up: a lane then
// holds both of an element, and each thread still loads rows of one kind, equally far apart.
constexpr int kTileColumns = FUSE_SWIGLU ? BLOCK_N / 2 : BLOCK_N;
constexpr int kGranule = 8;
constexpr int kColumnsPerPass = FUSE_SWIGLU ? kRowsPerPass / 2 : kRowsPerPass;
static_assert(kRowsPerPass % (2 * kGranule) == 0, "a thread's rows are of one kind");

constexpr int kPassesX = (kRowsX + kRowsPerPass - 1) / kRowsPerPass;
constexpr int kPassesW = (kRowsW + kRowsPerPass - 1) / kRowsPerPass;

// A warp's part of the tile, in blocks of 8 tokens by 8 columns. Its tokens are fragments of 16 (8
// with SWAP_AB) of which those of other warps lie between, so that all share a tile of few rows.
constexpr int kWarpM = BLOCK_M / WARPS_M;
constexpr int kWarpN = BLOCK_N / WARPS_N;
constexpr int kBlocksM = kWarpM / 8;
constexpr int kBlocksN = kWarpN / 8;
constexpr int kTokenFragment = SWAP_AB ? 8 : 16;
constexpr int kTokenStep = kTokenFragment * WARPS_M;
constexpr int kTokenFragments = kWarpM / kTokenFragment;
static_assert(FUSE_PREACT <= FUSE_SWIGLU && FUSE_COMBINE <= FUSE_SCALE,
              "#if takes a missing parameter for 0; this does not");
constexpr int kMajorTiles = (SWAP_AB ? kWarpN : kWarpM) / 16;
constexpr int kMinorTiles = (SWAP_AB ? kWarpM : kWarpN) / 8;

// Copies the stages of one tile; each thread always copies the same chunk of the same rows. Rows
// past the tile's stay as they are in the stage: they only make what is not stored.
class Loader {
 public:
  __device__ __forceinline__ Loader(const MoeArgs& args, const LaunchArgs& launch)
      : args_(args), launch_(launch), row_(threadIdx.x / kChunks), chunk_(threadIdx.x % kChunks) {}

  __device__ __forceinline__ void Begin(const RowTile& rows, int first_n) {
    const OPERAND* w = static_cast<const OPERAND*>(args_.w);
    const int columns = static_cast<int>(OutputColumns<FUSE_SWIGLU>(args_));
    const int column = first_n + (FUSE_SWIGLU ? PairedColumn<kGranule>(row_) : row_);
    const int w_row = FUSE_SWIGLU && IsUp<kGranule>(row_) ? columns + column : column;
    w_ = w + (args_.n * rows.expert + w_row) * args_.k + chunk_ * 8;
    columns_left_ = columns - column;
#pragma unroll
    for (int pass = 0; pass < kPassesX; ++pass) {
      const int row = row_ + pass * kRowsPerPass;
      offset_[pass] = row < rows.rows
                          ? OffsetOfX<INDEX, FUSE_GATHER>(args_, launch_, rows.first_row + row)
                          : kNoOffset;
    }
  }

  // Starts copying columns [k0, k0 + BLOCK_K) to a stage; past k they become zero.
  __device__ __forceinline__ void Copy(unsigned stage, int k0) const {
    const int k = k0 + chunk_ * 8;
    const bool read = k < args_.k;
    const uint4* x = static_cast<const uint4*>(args_.x) + k / 8;
    unsigned target = stage + SwizzledChunk<kChunks>(row_, chunk_) * 16;
#pragma unroll
    for (int pass = 0; pass < kPassesX; ++pass) {
      if (kRowsX % kRowsPerPass != 0 && row_ + pass * kRowsPerPass >= kRowsX) break;
      if (offset_[pass] == kNoOffset) continue;
      CopyAsync16(target + pass * kRowsPerPass * kRowBytes, x + offset_[pass], read);
    }
    target += kRowsX * kRowBytes;
    const OPERAND* w = w_ + k0;
    const long long pitch = kColumnsPerPass * args_.k;
#pragma unroll
    for (int pass = 0; pass < kPassesW; ++pass) {
      if (kRowsW % kRowsPerPass != 0 && row_ + pass * kRowsPerPass >= kRowsW) break;
      if (pass * kColumnsPerPass < columns_left_) {
        CopyAsync16(target + pass * kRowsPerPass * kRowBytes, w, read);
      }
      w += pitch;
    }
  }

 private:
  const MoeArgs& args_;
  const LaunchArgs& launch_;
  int row_;
  int chunk_;
  const OPERAND* w_ = nullptr;
  int columns_left_ = 0;       // of the output, from this thread's first on
  unsigned offset_[kPassesX];  // of rows of X
};

// The accumulators of a warp: acc[i][j] is fragment i of the major and j of the minor operand.
struct Accumulators {
  float acc[kMajorTiles][kMinorTiles][4];

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int i = 0; i < kMajorTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kMinorTiles; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) acc[i][j][e] = 0.0f;
      }
    }
  }

  // Element e (0, 1) of this lane in the 8 x 8 block of token block m and column block n.
  __device__ __forceinline__ float At(int m, int n, int e) const {
    return SWAP_AB ? acc[n / 2][m][n % 2 * 2 + e] : acc[m / 2][n][m % 2 * 2 + e];
  }
};

// Where a lane reads its fragments of the first 16 columns of a stage, in bytes from its start.
struct FragmentOffsets {
  unsigned major;
  unsigned minor;

  __device__ __forceinline__ FragmentOffsets(int warp_m, int warp_n) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const unsigned x = warp_m * kTokenFragment * kRowBytes;
    const unsigned w = (kRowsX + warp_n * kWarpN) * kRowBytes;
    major = (SWAP_AB ? w : x) + SwizzledChunk<kChunks>(lane % 16, lane / 16) * 16;
    const int minor_row = lane / 16 * kMinorStep + lane % 8;  // of two fragments
    minor = (SWAP_AB ? x : w) + SwizzledChunk<kChunks>(minor_row, lane / 8 % 2) * 16;
  }

  // Rows of the stage from one fragment to the next.
  static constexpr int kMajorStep = SWAP_AB ? 16 : kTokenStep;
  static constexpr int kMinorStep = SWAP_AB ? kTokenStep : 8;
};

// The fragments of one 16-wide step of k of a warp.
struct Fragments {
  unsigned major[kMajorTiles][4];
  unsigned minor[kMinorTiles][2];

  __device__ __forceinline__ void Load(unsigned stage, const FragmentOffsets& from, int step) {
    // The two chunks of a step are 32 bytes; the swizzle is an exclusive or.
    const unsigned major_row = (stage + from.major) ^ (step * 32);
    const unsigned minor_row = (stage + from.minor) ^ (step * 32);
#pragma unroll
    for (int i = 0; i < kMajorTiles; ++i) {
      LoadMatrix4(major[i], major_row + i * from.kMajorStep * kRowBytes);
    }
#pragma unroll
    for (int j = 0; j + 1 < kMinorTiles; j += 2) {
      unsigned pair[4];
      LoadMatrix4(pair, minor_row + j * from.kMinorStep * kRowBytes);
      minor[j][0] = pair[0];
      minor[j][1] = pair[1];
      minor[j + 1][0] = pair[2];
      minor[j + 1][1] = pair[3];
    }
    if constexpr (kMinorTiles % 2 != 0) {
      LoadMatrix2(minor[kMinorTiles - 1],
                  minor_row + (kMinorTiles - 1) * from.kMinorStep * kRowBytes);
    }
  }
};

// acc += the fragments' product; with SKIPS without fragments of tokens at or past `live`.
template <bool SKIPS>
__device__ __forceinline__ void Multiply(Accumulators& accumulators, const Fragments& fragments,
                                         int live) {
#pragma unroll
  for (int i = 0; i < kMajorTiles; ++i) {
    if (SKIPS && !SWAP_AB && i >= live) break;
#pragma unroll
    for (int j = 0; j < kMinorTiles; ++j) {
      if (SKIPS && SWAP_AB && j >= live) break;
      Mma16x8x16<OPERAND>(accumulators.acc[i][j], fragments.major[i], fragments.minor[j]);
    }
  }
}

// One stage: fragments of the next 16 columns are read while those at hand are multiplied.
template <bool SKIPS>
__device__ __forceinline__ void MultiplyStage(Accumulators& accumulators, unsigned stage,
                                              const FragmentOffsets& from, int live) {
  Fragments fragments[2];
  fragments[0].Load(stage, from, 0);
#pragma unroll
  for (int step = 0; step < BLOCK_K / 16; ++step) {
    if (step + 1 < BLOCK_K / 16) fragments[(step + 1) % 2].Load(stage, from, step + 1);
    Multiply<SKIPS>(accumulators, fragments[step % 2], live);
  }
}

// The CTA's tiles in order.
struct Walk {
  TileCursor<INDEX> cursor;
  const LaunchArgs& launch;
  int tile = static_cast<int>(blockIdx.x);
  RowTile rows = {};
  int first_n = 0;

  __device__ __forceinline__ Walk(const MoeArgs& args, const LaunchArgs& launch_args)
      : cursor(static_cast<const INDEX*>(args.row_counts), static_cast<int>(args.experts),
               static_cast<int>(CeilDiv(OutputColumns<FUSE_SWIGLU>(args), kTileColumns)), BLOCK_M),
        launch(launch_args) {}

  __device__ __forceinline__ bool Next() {
    int tile_n;
    if (!cursor.Find(tile, launch.group_m, rows, tile_n)) return false;
    first_n = tile_n * kTileColumns;
    tile += static_cast<int>(gridDim.x);
    return true;
  }
};

// Keeps the pipeline full: one stage a call, over the ends of tiles.
class Producer {
 public:
  __device__ __forceinline__ Producer(const MoeArgs& args, const LaunchArgs& launch,
                                      unsigned stages)
      : walk_(args, launch), loader_(args, launch), k_(static_cast<int>(args.k)), stages_(stages) {
    BeginTile();
  }

  // Starts the next stage's copies; past the last tile an empty group, which keeps the count.
  __device__ __forceinline__ void Advance() {
    if (more_) {
      loader_.Copy(stages_ + stage_ * kStageBytes, k0_);
      k0_ += BLOCK_K;
      if (k0_ >= k_) BeginTile();
    }
    CopyAsyncCommit();
    stage_ = stage_ + 1 == STAGES ? 0 : stage_ + 1;
  }

 private:
  __device__ __forceinline__ void BeginTile() {
    k0_ = 0;
    more_ = walk_.Next();
    if (more_) loader_.Begin(walk_.rows, walk_.first_n);
  }

  Walk walk_;
  Loader loader_;
  int k_;
  unsigned stages_;
  int k0_ = 0;
  int stage_ = 0;
  bool more_ = false;
};

// A warp of the CTA, which loads and multiplies.
class Worker {
 public:
  __device__ __forceinline__ Worker(const MoeArgs& args, const LaunchArgs& launch, unsigned stages)
      : args_(args),
        launch_(launch),
        stages_(stages),
        producer_(args, launch, stages),
        warp_m_(static_cast<int>(threadIdx.x) / 32 / WARPS_N),
        warp_n_(static_cast<int>(threadIdx.x) / 32 % WARPS_N),
        fragments_(warp_m_, warp_n_) {}

  __device__ __forceinline__ void Run() {
#pragma unroll
    for (int stage = 0; stage < STAGES - 1; ++stage) producer_.Advance();
    Walk walk(args_, launch_);
    Accumulators accumulators;
    while (walk.Next()) {
      accumulators.Clear();
      const int live = LiveFragments(walk.rows);
      if (SKIP_TAIL && live < kTokenFragments) {
        MultiplyTile<true>(accumulators, live);
      } else {
        MultiplyTile<false>(accumulators, live);
      }
      Storer<Accumulators, kBlocksM, kBlocksN, SWAP_AB, kTokenStep>(
          args_, walk.rows, warp_m_ * kTokenFragment,
          walk.first_n + warp_n_ * (kTileColumns / WARPS_N))
          .Store(accumulators);
    }
  }

 private:
  // Of this warp's fragments of tokens, those that hold rows.
  __device__ __forceinline__ int LiveFragments(const RowTile& rows) const {
    const int fragments = (rows.rows + kTokenFragment - 1) / kTokenFragment;
    return (fragments - warp_m_ + WARPS_M - 1) / WARPS_M;
  }

  template <bool SKIPS>
  __device__ __forceinline__ void MultiplyTile(Accumulators& accumulators, int live) {
    for (int k0 = 0; k0 < args_.k; k0 += BLOCK_K) {
      CopyAsyncWait<STAGES - 2>();
      __syncthreads();  // the oldest stage has arrived, and the one before it is read by all
      producer_.Advance();
      MultiplyStage<SKIPS>(accumulators, stages_ + stage_ * kStageBytes, fragments_, live);
      stage_ = stage_ + 1 == STAGES ? 0 : stage_ + 1;
    }
  }

  const MoeArgs& args_;
  const LaunchArgs& launch_;
  unsigned stages_;
  Producer producer_;
  int warp_m_;
  int warp_n_;
  FragmentOffsets fragments_;
  int stage_ = 0;
};

}  // namespace moetune

// One CTA an SM is asked for: where it is free, the compiler spills to let in more of them.
extern "C" __global__ void __launch_bounds__(moetune::kThreads, 1)
    moe_kernel(const __grid_constant__ moetune::MoeArgs args,
               const __grid_constant__ moetune::LaunchArgs launch) {
  moetune::Worker(args, launch, moetune::DynamicSharedMemory()).Run();
}
