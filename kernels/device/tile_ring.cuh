// Tiles on their way from the warp that finds them to the other warps of its CTA: a ring in shared
// memory.
#ifndef MOETUNE_KERNELS_DEVICE_TILE_RING_CUH_
#define MOETUNE_KERNELS_DEVICE_TILE_RING_CUH_

#include "kernels/device/expert_tiles.cuh"
#ifdef __CUDACC__
#include "kernels/device/hopper.cuh"
#endif

namespace moetune {

constexpr int kTileSlots = 4;
constexpr int kTileRingBytes = kTileSlots * (16 + static_cast<int>(sizeof(TokenTile)));

#ifdef __CUDACC__

// Turns count from 0 on; a tile of negative rows ends them.
class TileRing {
 public:
  // kTileRingBytes at the same place, at a multiple of 8: `address` in the shared address space.
  __device__ __forceinline__ TileRing(unsigned address, unsigned char* memory)
      : barriers_(address), tiles_(reinterpret_cast<TokenTile*>(memory + kTileSlots * 16)) {}

  // By one thread, before a barrier of the CTA. `warps` take each tile.
  __device__ __forceinline__ void Init(int warps) const {
    for (int slot = 0; slot < kTileSlots; ++slot) {
      BarrierInit(Full(slot), 1);
      BarrierInit(Empty(slot), warps);
    }
  }

  // By one thread.
  __device__ __forceinline__ void Put(int turn, const TokenTile& tile) const {
    const int slot = turn % kTileSlots;
    BarrierWait(Empty(slot), (turn / kTileSlots + 1) % 2);
    tiles_[slot] = tile;
    BarrierArrive(Full(slot));
  }

  // By whole warps.
  __device__ __forceinline__ TokenTile Take(int turn) const {
    const int slot = turn % kTileSlots;
    BarrierWait(Full(slot), turn / kTileSlots % 2);
    const TokenTile tile = tiles_[slot];
    __syncwarp();
    if (threadIdx.x % 32 == 0) BarrierArrive(Empty(slot));
    return tile;
  }

 private:
  __device__ __forceinline__ unsigned Full(int slot) const { return barriers_ + slot * 8; }
  __device__ __forceinline__ unsigned Empty(int slot) const { return Full(kTileSlots + slot); }

  unsigned barriers_;
  TokenTile* tiles_;
};

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_TILE_RING_CUH_
