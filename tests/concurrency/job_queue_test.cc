#include "tuner/job_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace moetune {
namespace {

TEST(JobQueue, EachJobIsDoneOnceHoweverOftenItIsPushedAndByWhomever) {
  JobQueue<int, int> queue;
  std::atomic<int> done = 0;
  std::vector<std::jthread> threads;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&] {
      while (auto job = queue.Pop(/*takes_spare=*/true)) {
        ++done;
        queue.Finish(job->first, job->second * 2);
      }
    });
  }
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> askers;
    for (int asker = 0; asker < 4; ++asker) {
      askers.emplace_back([&] {
        for (int i = 0; i < 200; ++i) queue.Push(std::to_string(i), i);
        for (int i = 0; i < 200; ++i) wrong += queue.Wait(std::to_string(i)) != 2 * i;
      });
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(done, 200);
  queue.Stop();
}

TEST(JobQueue, JobsComeOutInTheOrderInWhichTheyWentIn) {
  JobQueue<int, int> queue;
  for (int i : {3, 1, 2}) queue.Push(std::to_string(i), i);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true)->second, 3);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true)->second, 1);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true)->second, 2);
}

TEST(JobQueue, SpareJobsComeWhenNoOtherWaitsAndOnlyToThoseWhoTakeThem) {
  JobQueue<int, int> queue;
  queue.Push("spare", 1, Turn::kSpare);
  queue.Push("wanted", 2, Turn::kSpare);
  queue.Push("urgent", 3);
  queue.Push("wanted", 2);
  queue.Push("urgent", 3, Turn::kSpare);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true)->second, 3);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/false)->second, 2)
      << "spare no more since it was pushed again";
  std::thread other([&] { EXPECT_EQ(queue.Pop(/*takes_spare=*/false), std::nullopt); });
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true)->second, 1);
  queue.Stop();
  other.join();
}

TEST(JobQueue, WhatSomebodyWaitsForComesBeforeAllOthers) {
  JobQueue<int, int> queue;
  queue.Push("spare", 1, Turn::kSpare);
  queue.Push("next", 2);
  queue.Push("spare", 1, Turn::kFirst);
  queue.Push("spare", 1);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/false)->second, 1);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/false)->second, 2);
  std::thread other([&] { EXPECT_EQ(queue.Pop(/*takes_spare=*/true), std::nullopt) << "again"; });
  queue.Stop();
  other.join();
}

TEST(JobQueue, AJobWhoseResultIsKnownIsNotHandedOut) {
  JobQueue<int, int> queue;
  queue.Push("known", 1);
  queue.Push("other", 2);
  EXPECT_EQ(queue.StateOf("known"), JobState::kWaiting);
  queue.Finish("known", 10);
  EXPECT_EQ(queue.StateOf("known"), JobState::kFinished);
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true)->second, 2);
  EXPECT_EQ(queue.StateOf("other"), JobState::kBegun);
  queue.Finish("known", 11);
  EXPECT_EQ(queue.Wait("known"), 10) << "the first result stands";
}

TEST(JobQueue, OfSeveralJobsTheFirstToBeFinishedIsWaitedFor) {
  JobQueue<int, int> queue;
  const std::vector<std::string> names = {"a", "b", "c"};
  for (const std::string& name : names) queue.Push(name, 0);
  std::jthread worker([&] { queue.Finish("b", 0); });
  EXPECT_EQ(queue.WaitForAny(names), 1u);
  queue.Finish("a", 0);
  EXPECT_EQ(queue.WaitForAny(names), 0u) << "the first in the list of those that are";
}

TEST(JobQueue, StopWakesAllWhoWait) {
  JobQueue<int, int> queue;
  queue.Push("never finished", 1);
  queue.Pop(/*takes_spare=*/true);
  std::atomic<int> woken = 0;
  {
    std::jthread popping([&] { woken += !queue.Pop(/*takes_spare=*/true).has_value(); });
    std::jthread waiting([&] { woken += !queue.Wait("never finished").has_value(); });
    queue.Stop();
  }
  EXPECT_EQ(woken, 2);
  EXPECT_TRUE(queue.stopped());
}

TEST(JobQueue, WhatIsLeftWhenItStopsIsNotHandedOut) {
  JobQueue<int, int> queue;
  queue.Push("left", 1);
  queue.Stop();
  EXPECT_EQ(queue.Pop(/*takes_spare=*/true), std::nullopt);
}

}  // namespace
}  // namespace moetune
