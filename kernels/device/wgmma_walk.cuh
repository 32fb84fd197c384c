// Which tiles a CTA of a wgmma kernel works on, and in which order.
#ifndef MOETUNE_KERNELS_DEVICE_WGMMA_WALK_CUH_
#define MOETUNE_KERNELS_DEVICE_WGMMA_WALK_CUH_

#include "kernels/device/tile_queue.cuh"
#include "kernels/device/wgmma_tile.cuh"

namespace moetune {

// Wide tiles differ much in their work, so a free CTA draws its next one; narrow ones wait for
// memory all alike. A cluster keeps step with the others that read the same W.
constexpr bool kDrawsTiles = CLUSTER == 1 && BLOCK_M > 32;

// The tiles of this CTA's cluster in order. By warp 0.
class Walk {
 public:
  __device__ __forceinline__ Walk(const MoeArgs& args, const Shared& shared, int rank, int queue)
      : table_(shared.table),
        experts_(static_cast<int>(args.experts)),
        cursor_(table_, experts_),
        grid_(GridOf(args)),
        rank_(rank),
        drawer_(queue),
        tile_(static_cast<int>(blockIdx.x) / CLUSTER) {}

  // False past the last tile, whose rows are negative.
  __device__ __forceinline__ bool Find(TokenTile& tile) {
    ExpertTiles entry;
    int index;
    tile.rows = -1;
    if (!cursor_.Find(tile_, entry, index)) return false;
    tile = TileOfTokens(entry, index, grid_, rank_);
    return true;
  }

  // Near the end of a tile, once for each.
  __device__ __forceinline__ void Draw() {
    if (kDrawsTiles && threadIdx.x == 0) drawer_.Draw(tile_);
  }

  __device__ __forceinline__ void Advance() {
    if constexpr (kDrawsTiles) {
      if (threadIdx.x == 0) tile_ = drawer_.Next(tile_, table_[experts_ - 1].tiles_end);
      tile_ = __shfl_sync(0xffffffffu, tile_, 0);
    } else {
      tile_ += static_cast<int>(gridDim.x) / CLUSTER;
    }
  }

 private:
  const ExpertTiles* table_;
  int experts_;
  TableCursor cursor_;
  TileGrid grid_;
  int rank_;
  TileDrawer drawer_;
  int tile_;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_WGMMA_WALK_CUH_
