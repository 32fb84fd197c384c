#include "runtime/tile_queues.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "tests/testing/numbered_streams.h"

namespace moetune {
namespace {

TEST(ConcurrentTileQueues, ThreadsThatTakeTheFirstQueueOfTheirStreamsGetDifferentOnes) {
  constexpr int kThreads = 8;
  for (int round = 0; round < 200; ++round) {
    TileQueues queues;
    std::vector<int> taken(kThreads);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
          // Streams 0 and 64 and so on look for a queue at the same place; each has two threads.
          const uint64_t stream = uint64_t{64} * static_cast<uint64_t>(i / 2);
          taken[static_cast<size_t>(i)] = queues.Of(kNumberedStreams, StreamOf(stream));
        });
      }
    }
    EXPECT_EQ(std::set<int>(taken.begin(), taken.end()).size(), kThreads / 2u);
    for (size_t i = 0; i < kThreads; i += 2) EXPECT_EQ(taken[i], taken[i + 1]);
  }
}

}  // namespace
}  // namespace moetune
