#include "runtime/tile_queues.h"

namespace moetune {

int TileQueues::Of(const DriverApi& driver, CUstream_st* stream) {
  constexpr int kNone = -1;
  bool capturing = true;
  uint64_t id = 0;
  if (driver.stream_capturing(stream, &capturing) != 0 || capturing) return kNone;
  if (driver.stream_id(stream, &id) != 0) return kNone;
  for (int i = 0; i < kTileQueues; ++i) {
    const auto queue = static_cast<int>((id + static_cast<uint64_t>(i)) % kTileQueues);
    uint64_t holder = taken_[queue].load(std::memory_order_relaxed);
    if (holder == 0 && taken_[queue].compare_exchange_strong(holder, id + 1)) return queue;
    if (holder == id + 1) return queue;
  }
  return kNone;
}

}  // namespace moetune
