#include "runtime/miss_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/testing/records.h"

namespace moetune {
namespace {

TEST(MissQueue, GivesProblemsInTheOrderTheyCame) {
  MissQueue queue;
  for (const int64_t tokens : {3, 1, 2}) EXPECT_TRUE(queue.Push(SmallProblem(tokens)));
  for (const int64_t tokens : {3, 1, 2}) EXPECT_EQ(queue.Next(), SmallProblem(tokens));
}

TEST(MissQueue, AFullRingForgetsAndTakesAgainOnceThereIsRoom) {
  MissQueue queue;
  int64_t pushed = 0;
  while (queue.Push(SmallProblem(pushed + 1))) ++pushed;
  EXPECT_GE(pushed, 16);
  EXPECT_FALSE(queue.Push(SmallProblem(1000)));
  EXPECT_EQ(queue.Next(), SmallProblem(1));
  EXPECT_TRUE(queue.Push(SmallProblem(2000)));
  for (int64_t i = 2; i <= pushed; ++i) EXPECT_EQ(queue.Next(), SmallProblem(i));
  EXPECT_EQ(queue.Next(), SmallProblem(2000));
}

TEST(MissQueue, NextWaitsForAPush) {
  MissQueue queue;
  std::thread pusher([&] { queue.Push(SmallProblem(5)); });
  EXPECT_EQ(queue.Next(), SmallProblem(5));
  pusher.join();
}

TEST(MissQueue, CloseEndsTheWait) {
  MissQueue queue;
  std::thread closer([&] { queue.Close(); });
  EXPECT_EQ(queue.Next(), std::nullopt);
  closer.join();
}

TEST(MissQueue, IsIdleOnlyWhenTheLastProblemIsDealtWith) {
  MissQueue queue;
  queue.WaitUntilIdle();
  queue.Push(SmallProblem(1));
  std::atomic<bool> idle = false;
  std::thread waiter([&] {
    queue.WaitUntilIdle();
    idle = true;
  });
  ASSERT_TRUE(queue.Next().has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(idle);  // taken, but not dealt with
  queue.Close();
  EXPECT_EQ(queue.Next(), std::nullopt);
  waiter.join();
  EXPECT_TRUE(idle);
}

}  // namespace
}  // namespace moetune
