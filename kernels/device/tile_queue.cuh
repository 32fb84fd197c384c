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

// Draws for one CTA. Of every CTA tile blockIdx.x is the first.
class TileDrawer {
 public:
  // `queue`: one that no other launch uses now; negative: every gridDim.x-th tile is the CTA's.
  __device__ __forceinline__ explicit TileDrawer(int queue) : queue_(queue) {}

  // Puts what was drawn in the place of `tile`, by one thread, once for each tile that the CTA
  // works on: it comes later. Without a queue `tile` stays.
  __device__ __forceinline__ void Draw(int& tile) const {
    if (queue_ >= 0) tile = static_cast<int>(atomicAdd(&tiles_drawn[queue_], 1u));
  }

  // The next tile by what was drawn, of `tiles` of all CTAs; past them when none is left. By any
  // threads that are told what was drawn.
  __device__ __forceinline__ int Next(int drawn, int tiles) const {
    // There are as many draws as tiles, and so this was the last one.
    if (queue_ >= 0 && drawn == tiles - 1) tiles_drawn[queue_] = 0;
    return drawn + static_cast<int>(gridDim.x);
  }

 private:
  int queue_;
};

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_TILE_QUEUE_CUH_
