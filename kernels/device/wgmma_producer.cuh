// The producer of a wgmma kernel: finds the tiles of its CTA and fills the ring of stages for them.
#ifndef MOETUNE_KERNELS_DEVICE_WGMMA_PRODUCER_CUH_
#define MOETUNE_KERNELS_DEVICE_WGMMA_PRODUCER_CUH_

#include "kernels/device/rows.cuh"
#include "kernels/device/wgmma_tile.cuh"
#include "kernels/device/wgmma_walk.cuh"

namespace moetune {

// Starts the copy of a stage's rows of W; in a cluster this CTA's half of them, to both CTAs.
__device__ __forceinline__ void CopyW(const TensorMap& map, unsigned stage, unsigned full,
                                      const TokenTile& tile, int k0, int rank, bool leaves_first) {
  constexpr int kRows = BLOCK_N / CLUSTER;
  constexpr unsigned short kBoth = 3;
#pragma unroll
  for (int box = 0; box < kBoxes; ++box) {
    const unsigned target = stage + (box * BLOCK_N + rank * kRows) * 128;
    const int k = k0 + box * 64;
    const int row = tile.tile_n * BLOCK_N + rank * kRows;
    if constexpr (FUSE_SWIGLU && CLUSTER > 1) {
      MulticastBox5(target, map, full, kBoth, k, 0, 0, row / 16, tile.expert);
    } else if constexpr (CLUSTER > 1) {
      MulticastBox3(target, map, full, kBoth, k, row, tile.expert);
    } else if constexpr (FUSE_SWIGLU) {
      if (leaves_first) {
        LoadBox5(target, map, full, k, 0, 0, row / 16, tile.expert, EvictFirst());
      } else {
        LoadBox5(target, map, full, k, 0, 0, row / 16, tile.expert);
      }
    } else {
      if (leaves_first) {
        LoadBox3(target, map, full, k, row, tile.expert, EvictFirst());
      } else {
        LoadBox3(target, map, full, k, row, tile.expert);
      }
    }
  }
}

// Boxes of X that hold a tile's rows. What they read past the expert's end only makes tokens that
// are not stored.
__device__ __forceinline__ int BoxesX(const TokenTile& tile) {
  return (tile.rows + kBoxRowsX - 1) / kBoxRowsX;
}

__device__ __forceinline__ void CopyX(const TensorMap& map, unsigned stage, unsigned full,
                                      const TokenTile& tile, int k0) {
  for (int i = 0; i < BoxesX(tile); ++i) {
#pragma unroll
    for (int box = 0; box < kBoxes; ++box) {
      LoadBox2(stage + kBytesW + (box * BLOCK_M + i * kBoxRowsX) * 128, map, full, k0 + box * 64,
               tile.first_row + i * kBoxRowsX);
    }
  }
}

// Copies gathered rows of X with all threads of the producer, 16 bytes at a time: eight neighbours
// copy a row. Rows past the tile's stay as they are in the stage.
class Gatherer {
 public:
  __device__ __forceinline__ void Begin(const MoeArgs& args, const LaunchArgs& launch,
                                        const TokenTile& tile) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = static_cast<int>(threadIdx.x) / 8 + pass * 16;
      offset_[pass] =
          row < tile.rows ? OffsetOfX<INDEX, true>(args, launch, tile.first_row + row) : kNoOffset;
    }
  }

  __device__ __forceinline__ void Copy(const MoeArgs& args, unsigned stage, int k0) const {
    const int row = static_cast<int>(threadIdx.x) / 8;
    const int chunk = static_cast<int>(threadIdx.x) % 8;
    const unsigned target = stage + kBytesW + row * 128 + (chunk ^ row % 8) * 16;
#pragma unroll
    for (int box = 0; box < kBoxes; ++box) {
      const int k = k0 + box * 64 + chunk * 8;
      const bool read = k < args.k;
      const auto* x = static_cast<const uint4*>(args.x) + (read ? k / 8 : 0);
#pragma unroll
      for (int pass = 0; pass < kPasses; ++pass) {
        if (offset_[pass] == kNoOffset) continue;
        CopyAsync16(target + (box * BLOCK_M + pass * 16) * 128, x + offset_[pass], read);
      }
    }
  }

 private:
  static constexpr int kPasses = (BLOCK_M + 15) / 16;
  unsigned offset_[kPasses];  // of rows of X
};

// Whether the L2 should let go of a tile's W first: where no other tile reads it, so that what was
// in the L2 stays. Not past a few times its size, where the hint slows the reads by 3 to 5 %. (So
// would naming the default, evict_normal, in a policy: by 10 to 25 % on an H200.) `walk` has found
// the tile.
__device__ __forceinline__ bool LeavesFirst(const MoeArgs& args, const Walk& walk) {
  constexpr long long kFewBytes = 256ll << 20;
  const long long experts = args.rows < args.experts ? args.rows : args.experts;
  return BLOCK_M <= 64 && walk.IsOnly() && experts * args.n * args.k * 2 <= kFewBytes;
}

// A CTA draws its next tile late, so that all end together, but soon enough for the answer to be
// there in time.
constexpr int kStepsAfterDraw = 4;

// Fills the stages of a tile. One thread starts what TMA copies; with gather all four warps copy X.
// `walk` is that of the warp that finds the tiles.
__device__ __forceinline__ void FillStages(const MoeArgs& args, const LaunchArgs& launch,
                                           const TensorMaps& maps, const Shared& shared, int rank,
                                           const TokenTile& tile, bool leader, Ring& ring,
                                           Walk* walk = nullptr) {
  Gatherer gatherer;
  if (FUSE_GATHER) gatherer.Begin(args, launch, tile);
  const int bytes_x = FUSE_GATHER ? 0 : BoxesX(tile) * kBoxRowsX * BLOCK_K * 2;
  const bool leaves_first = walk != nullptr && LeavesFirst(args, *walk);
  const int steps = static_cast<int>((args.k + BLOCK_K - 1) / BLOCK_K);
  const int k_of_draw = steps > kStepsAfterDraw ? (steps - kStepsAfterDraw) * BLOCK_K : 0;
  for (int k0 = 0; k0 < args.k; k0 += BLOCK_K) {
    if (walk != nullptr && k0 == k_of_draw) walk->Draw();
    const unsigned stage = shared.stages + ring.stage * kStageBytes;
    const unsigned full = shared.full + ring.stage * 8;
    BarrierWait(shared.empty + ring.stage * 8, ring.parity ^ 1);
    if (leader) {
      BarrierArriveExpect(full, kBytesW + bytes_x);
      CopyW(maps.w, stage, full, tile, k0, rank, leaves_first);
      if (!FUSE_GATHER) CopyX(maps.x, stage, full, tile, k0);
    }
    if constexpr (FUSE_GATHER) {
      __syncwarp();
      gatherer.Copy(args, stage, k0);
      CopyAsyncArrive(full);
    }
    ring.Advance();
  }
}

// Warp 0 finds the tiles and hands them to the others.
__device__ __forceinline__ void Produce(const MoeArgs& args, const LaunchArgs& launch,
                                        const TensorMaps& maps, const Shared& shared, int rank) {
  Ring ring;
  if (threadIdx.x < 32) {
    const bool leader = ElectOne();
    Walk walk(args, launch, shared, rank);
    TokenTile tile;
    for (int turn = 0;; ++turn) {
      const bool found = walk.Find(tile);
      if (leader) shared.tiles.Put(turn, tile);
      __syncwarp();
      if (!found) return;
      FillStages(args, launch, maps, shared, rank, tile, leader, ring, &walk);
      walk.Advance();
    }
  }
  if constexpr (FUSE_GATHER) {
    for (int turn = 0;; ++turn) {
      const TokenTile tile = shared.tiles.Take(turn);
      if (tile.rows < 0) return;
      FillStages(args, launch, maps, shared, rank, tile, false, ring);
    }
  }
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_WGMMA_PRODUCER_CUH_
