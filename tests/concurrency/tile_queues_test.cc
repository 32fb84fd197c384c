#include "runtime/tile_queues.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace moetune {
namespace {

TEST(ConcurrentTileQueues, ThreadsThatTakeTheFirstQueueOfTheirStreamsGetDifferentOnes) {
  constexpr DriverApi kDriver = {
      .stream_id =
          [](CUstream_st* stream, uint64_t* id) {
            *id = reinterpret_cast<uint64_t>(stream);
            return 0;
          },
      .stream_capturing =
          [](CUstream_st*, bool* capturing) {
            *capturing = false;
            return 0;
          },
  };
  constexpr int kThreads = 8;
  for (int round = 0; round < 200; ++round) {
    TileQueues queues;
    std::vector<int> taken(kThreads);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
          // Streams 0 and 64 and so on look for a queue at the same place; each has two threads.
          auto* stream =
              reinterpret_cast<CUstream_st*>(uint64_t{64} * static_cast<uint64_t>(i / 2));
          taken[static_cast<size_t>(i)] = queues.Of(kDriver, stream);
        });
      }
    }
    EXPECT_EQ(std::set<int>(taken.begin(), taken.end()).size(), kThreads / 2u);
    for (size_t i = 0; i < kThreads; i += 2) EXPECT_EQ(taken[i], taken[i + 1]);
  }
}

}  // namespace
}  // namespace moetune
