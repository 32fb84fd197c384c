// TileQueues: from which queue (kernels/device/tile_queue.cuh) the launches of one kernel draw
// their tiles. Launches that may run at the same time must not share one.
#ifndef MOETUNE_RUNTIME_TILE_QUEUES_H_
#define MOETUNE_RUNTIME_TILE_QUEUES_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "kernels/device/tile_queue.cuh"
#include "runtime/driver.h"

namespace moetune {

class TileQueues {
 public:
  // The queue of all launches on `stream`, 0 to kTileQueues - 1. Negative, which is the fixed order
  // of tiles: for a stream that is being captured, whose graph may run beside anything, and for
  // streams after the first kTileQueues. Thread-safe; does not lock or allocate.
  int Of(const DriverApi& driver, CUstream_st* stream);

 private:
  std::array<std::atomic<uint64_t>, kTileQueues> taken_ = {};  // 0: free, else 1 + a stream's id
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_TILE_QUEUES_H_
