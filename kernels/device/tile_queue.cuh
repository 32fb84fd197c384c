// Tiles drawn one by one: a CTA takes its next tile when it is free, so that none waits long for
// the last.
#ifndef MOETUNE_KERNELS_DEVICE_TILE_QUEUE_CUH_
#define MOETUNE_KERNELS_DEVICE_TILE_QUEUE_CUH_

namespace moetune {

// Launches of a kernel that may run at the same time draw from different queues.
constexpr int kTileQueues = 64;

#ifdef __CUDACC__

// Tiles that were drawn from each queue; zero between launches.
__device__ unsigned tiles_drawn[kTileQueues];

// Draws for one CTA, by one thread. Of every CTA tile blockIdx.x is the first.
class TileDrawer {
 public:
  // `queue`: one that no other launch uses now; negative: every gridDim.x-th tile is the CTA's.
  __device__ __forceinline__ explicit TileDrawer(int queue) : queue_(queue) {}

  // Begins to draw, once for each tile that the CTA works on: what is drawn comes later.
  __device__ __forceinline__ void Draw() {
    if (queue_ >= 0) drawn_ = atomicAdd(&tiles_drawn[queue_], 1u);
  }

  // The tile after `tile`, of `tiles` of all CTAs; past them when none is left.
  __device__ __forceinline__ int After(int tile, int tiles) const {
    const int ctas = static_cast<int>(gridDim.x);
    if (queue_ < 0) return tile + ctas;
    // There are as many draws as tiles, and so this was the last one.
    if (drawn_ == static_cast<unsigned>(tiles) - 1) tiles_drawn[queue_] = 0;
    return ctas + static_cast<int>(drawn_);
  }

 private:
  int queue_;
  unsigned drawn_ = 0;
};

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_TILE_QUEUE_CUH_
