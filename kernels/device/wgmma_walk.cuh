// Which tiles a CTA of a wgmma kernel works on, and in which order.
#ifndef MOETUNE_KERNELS_DEVICE_WGMMA_WALK_CUH_
#define MOETUNE_KERNELS_DEVICE_WGMMA_WALK_CUH_

#include "kernels/device/tile_queue.cuh"
#include "kernels/device/wgmma_tile.cuh"

namespace moetune {

// The tiles of this CTA's cluster in order. By warp 0. A cluster is never given a queue: its CTAs
// would have to agree on what was drawn.
class Walk {
 public:
  // `args` and `order` are the kernel's: read when they are needed, they take no registers.
  __device__ __forceinline__ Walk(const MoeArgs& args, const LaunchArgs& launch,
                                  const Shared& shared, int rank)
      : args_(args),
        launch_(launch),
        table_(shared.table),
        cursor_(table_, static_cast<int>(args.experts)),
        rank_(rank),
        tile_(static_cast<int>(blockIdx.x) / CLUSTER) {}

  // False past the last tile, whose rows are negative.
  __device__ __forceinline__ bool Find(TokenTile& tile) {
    ExpertTiles entry;
    int index;
    tile.rows = -1;
    if (!cursor_.Find(tile_, entry, index)) return false;
    tile = TileOfTokens(entry, index, GridOf(args_, launch_), rank_);
    only_ = entry.rows <= BLOCK_M * CLUSTER;
    return true;
  }

  // Whether no other tile reads the rows of W of the one found.
  __device__ __forceinline__ bool IsOnly() const { return only_; }

  // Near the end of a tile, once for each.
  __device__ __forceinline__ void Draw() {
    if (CLUSTER == 1 && threadIdx.x == 0) TileDrawer(launch_.queue).Draw(tile_);
  }

  __device__ __forceinline__ void Advance() {
    if constexpr (CLUSTER == 1) {
      const int drawn = __shfl_sync(0xffffffffu, tile_, 0);
      tile_ = TileDrawer(launch_.queue).Next(drawn, table_[args_.experts - 1].tiles_end);
    } else {
      tile_ += static_cast<int>(gridDim.x) / CLUSTER;
    }
  }

 private:
  const MoeArgs& args_;
  const LaunchArgs& launch_;
  const ExpertTiles* table_;
  TableCursor cursor_;
  int rank_;
  int tile_;
  bool only_ = false;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_WGMMA_WALK_CUH_
