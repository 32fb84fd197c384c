#include "runtime/tile_queues.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/testing/numbered_streams.h"

namespace moetune {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::Lt;

TEST(TileQueues, AStreamKeepsItsQueueAndSharesItWithNone) {
  TileQueues queues;
  std::set<int> seen;
  for (uint64_t id = 0; id < kTileQueues; ++id) {
    const int queue =
        queues.Of(kNumberedStreams, StreamOf(id * 7 * kTileQueues));  // all begin at the same
    EXPECT_THAT(queue, AllOf(Ge(0), Lt(kTileQueues)));
    EXPECT_TRUE(seen.insert(queue).second) << queue;
    EXPECT_EQ(queues.Of(kNumberedStreams, StreamOf(id * 7 * kTileQueues)), queue);
  }
}

TEST(TileQueues, StreamsThatFindNoneLeftHaveNone) {
  TileQueues queues;
  for (uint64_t id = 0; id < kTileQueues; ++id) queues.Of(kNumberedStreams, StreamOf(id));
  EXPECT_LT(queues.Of(kNumberedStreams, StreamOf(1000)), 0);
  EXPECT_GE(queues.Of(kNumberedStreams, StreamOf(0)), 0) << "the first ones keep theirs";
}

TEST(TileQueues, ACapturedLaunchHasNoneForItsGraphMayRunBesideAnything) {
  DriverApi driver = kNumberedStreams;
  driver.stream_capturing = [](CUstream_st*, bool* capturing) {
    *capturing = true;
    return 0;
  };
  TileQueues queues;
  EXPECT_LT(queues.Of(driver, StreamOf(1)), 0);
}

TEST(TileQueues, WhereTheDriverDoesNotAnswerThereIsNone) {
  TileQueues queues;
  DriverApi driver = kNumberedStreams;
  driver.stream_id = [](CUstream_st*, uint64_t*) { return 1; };
  EXPECT_LT(queues.Of(driver, StreamOf(1)), 0);
  driver = kNumberedStreams;
  driver.stream_capturing = [](CUstream_st*, bool*) { return 1; };
  EXPECT_LT(queues.Of(driver, StreamOf(1)), 0);
}

}  // namespace
}  // namespace moetune
