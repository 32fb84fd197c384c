// What the parameters of a wgmma kernel make of its CTA: sizes, shared memory and the ring of
// stages. Parameters are explained in families/sm90_wgmma.cuh.
#ifndef MOETUNE_KERNELS_DEVICE_WGMMA_TILE_CUH_
#define MOETUNE_KERNELS_DEVICE_WGMMA_TILE_CUH_

#include "kernels/device/hopper.cuh"
#include "kernels/device/ptx.cuh"
#include "kernels/device/tile_ring.cuh"

namespace moetune {

constexpr int kThreads = 128 * (1 + CONSUMERS);
constexpr int kGroups = PINGPONG ? 1 : CONSUMERS;  // warpgroups that share a tile
constexpr int kBlocks = BLOCK_N / (64 * kGroups);  // of 64 rows of W, of a warpgroup
constexpr int kBoxes = BLOCK_K / 64;               // 128-byte wide boxes of a stage
constexpr int kGroupK = 32;                        // columns of k of what is committed at once
constexpr int kBytesW = BLOCK_N * BLOCK_K * 2;     // of a stage
constexpr int kBytesX = BLOCK_M * BLOCK_K * 2;
constexpr int kStageBytes = kBytesW + kBytesX;
constexpr int kBoxRowsX = BLOCK_M < 16 ? BLOCK_M : 16;  // of one TMA copy of X

constexpr int kColumns = (FUSE_SWIGLU ? 32 : 64) * kBlocks;  // of Y, of a warpgroup
constexpr int kSlab = BLOCK_M < 16 ? BLOCK_M : 16;           // tokens staged at once
constexpr int kPitch = kColumns * 2 + 16;  // bytes of a staged token: no bank conflicts
constexpr int kSlabBytes = kSlab * kPitch;

// Tiles are made BLOCK_M / 4, BLOCK_M / 2 and from there in steps of TAIL_STEP to BLOCK_M tokens
// wide: where an expert's rows are split evenly, most tiles are more than half full.
constexpr int kNarrowest = BLOCK_M % 64 == 0   ? BLOCK_M / 4
                           : BLOCK_M % 32 == 0 ? BLOCK_M / 2
                                               : BLOCK_M;
MOE_CONSTEXPR int NextWidth(int width) {
  if (width < BLOCK_M / 2) return 2 * width;
  return width + TAIL_STEP < BLOCK_M ? width + TAIL_STEP : BLOCK_M;
}

// Arrivals that end a phase of a stage's two barriers: one that expects TMA's bytes, with gather
// one of each copying thread; and one of each warp that reads the stage, in each CTA.
constexpr int kArrivalsFull = 1 + (FUSE_GATHER ? 128 : 0);
constexpr int kArrivalsEmpty = 4 * kGroups * CLUSTER;

// Warps that work on tiles, but for the one that finds them.
constexpr int kWarpsOnTiles = 4 * CONSUMERS + (FUSE_GATHER ? 3 : 0);

// Named barriers: 0 is that of __syncthreads.
constexpr int kGroupBarrier = 1;                         // and one more each consumer
constexpr int kTurnBarrier = kGroupBarrier + CONSUMERS;  // likewise

// Registers a thread, once the roles have parted.
constexpr bool kWideConsumers = kBlocks * BLOCK_M / 2 > 128;   // whose accumulators need the most
constexpr bool kSimpleProducer = !FUSE_GATHER && CLUSTER > 1;  // it neither gathers nor draws tiles
constexpr int kProducerRegisters = CONSUMERS == 3    ? (FUSE_GATHER ? 56 : 32)
                                   : !kWideConsumers ? 72
                                   : kSimpleProducer ? 24
                                   : FUSE_GATHER     ? 56
                                                     : 40;
constexpr int kConsumerRegisters = CONSUMERS == 3    ? (FUSE_GATHER ? 152 : 160)
                                   : !kWideConsumers ? 216
                                   : kSimpleProducer ? 240
                                   : FUSE_GATHER     ? 224
                                                     : 232;
static_assert(kProducerRegisters + CONSUMERS * kConsumerRegisters <= 512, "of 128 threads each");

// The CTA's shared memory. Addresses are in the shared address space.
struct Shared {
  unsigned stages;   // W, then X: boxes of 64 columns, each row 128 bytes, swizzled
  unsigned staging;  // two slabs a consumer
  unsigned full;     // a barrier a stage
  unsigned empty;
  TileRing tiles;
  int* targets;  // BLOCK_M rows of Y a consumer
  float* weights;
  ExpertTiles* table;

  __device__ __forceinline__ Shared() : Shared(DynamicSharedMemory()) {}

 private:
  static constexpr int kBarriers = STAGES * kStageBytes + CONSUMERS * 2 * kSlabBytes;
  static constexpr int kTiles = kBarriers + STAGES * 16;

  __device__ __forceinline__ explicit Shared(unsigned memory)
      : stages(memory),
        staging(memory + STAGES * kStageBytes),
        full(memory + kBarriers),
        empty(full + STAGES * 8),
        tiles(memory + kTiles, At(memory) + kTiles),
        targets(reinterpret_cast<int*>(At(memory) + kTiles + kTileRingBytes)),
        weights(reinterpret_cast<float*>(targets + CONSUMERS * BLOCK_M)),
        table(reinterpret_cast<ExpertTiles*>(weights + CONSUMERS * BLOCK_M)) {}

  static __device__ __forceinline__ unsigned char* At(unsigned address) {
    return static_cast<unsigned char*>(__cvta_shared_to_generic(address));
  }
};

// A place in the ring of stages, and the parity of the phase that its use there has.
struct Ring {
  int stage = 0;
  int parity = 0;

  __device__ __forceinline__ void Advance() {
    if (++stage == STAGES) {
      stage = 0;
      parity ^= 1;
    }
  }
  __device__ __forceinline__ void Skip(int steps) {
    const int to = stage + steps;
    stage = to % STAGES;
    parity ^= to / STAGES & 1;
  }
};

__device__ __forceinline__ TileGrid GridOf(const MoeArgs& args, const LaunchArgs& launch) {
  return {static_cast<int>(CeilDiv(args.n, BLOCK_N)), BLOCK_M, CLUSTER, launch.group_m};
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_WGMMA_TILE_CUH_
