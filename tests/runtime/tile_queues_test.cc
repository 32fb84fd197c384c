#include "runtime/tile_queues.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace moetune {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::Lt;

// Its streams are numbers: the id of one is its address.
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

CUstream_st* StreamOf(uint64_t id) { return reinterpret_cast<CUstream_st*>(id); }

TEST(TileQueues, AStreamKeepsItsQueueAndSharesItWithNone) {
  TileQueues queues;
  std::set<int> seen;
  for (uint64_t id = 0; id < kTileQueues; ++id) {
    const int queue = queues.Of(kDriver, StreamOf(id * 7 * kTileQueues));  // all begin at the same
    EXPECT_THAT(queue, AllOf(Ge(0), Lt(kTileQueues)));
    EXPECT_TRUE(seen.insert(queue).second) << queue;
    EXPECT_EQ(queues.Of(kDriver, StreamOf(id * 7 * kTileQueues)), queue);
  }
}

TEST(TileQueues, StreamsThatFindNoneLeftHaveNone) {
  TileQueues queues;
  for (uint64_t id = 0; id < kTileQueues; ++id) queues.Of(kDriver, StreamOf(id));
  EXPECT_LT(queues.Of(kDriver, StreamOf(1000)), 0);
  EXPECT_GE(queues.Of(kDriver, StreamOf(0)), 0) << "the first ones keep theirs";
}

TEST(TileQueues, ACapturedLaunchHasNoneForItsGraphMayRunBesideAnything) {
  DriverApi driver = kDriver;
  driver.stream_capturing = [](CUstream_st*, bool* capturing) {
    *capturing = true;
    return 0;
  };
  TileQueues queues;
  EXPECT_LT(queues.Of(driver, StreamOf(1)), 0);
}

TEST(TileQueues, WhereTheDriverDoesNotAnswerThereIsNone) {
  TileQueues queues;
  DriverApi driver = kDriver;
  driver.stream_id = [](CUstream_st*, uint64_t*) { return 1; };
  EXPECT_LT(queues.Of(driver, StreamOf(1)), 0);
  driver = kDriver;
  driver.stream_capturing = [](CUstream_st*, bool*) { return 1; };
  EXPECT_LT(queues.Of(driver, StreamOf(1)), 0);
}

}  // namespace
}  // namespace moetune
