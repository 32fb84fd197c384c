#include "runtime/dispatcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/miss_queue.h"
#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

// Arguments that nobody looks into: the driver's launch only counts.
MoeArgs ArgsOf(const Problem& problem) {
  alignas(16) static char memory;
  const Shape& shape = problem.shape;
  return {.x = &memory,
          .w = &memory,
          .y = &memory,
          .row_counts = &memory,
          .row_index = &memory,
          .scale = &memory,
          .tokens = problem.tokens,
          .rows = problem.rows,
          .experts = shape.experts,
          .top_k = shape.top_k,
          .n = shape.n,
          .k = shape.k};
}

Problem Sized(int64_t n, int64_t tokens) {
  Problem problem = SmallProblem(tokens);
  problem.shape.n = n;
  return problem;
}

std::atomic<int64_t> launched = 0;

class ConcurrentDispatcher : public testing::Test {
 protected:
  ConcurrentDispatcher() {
    driver_.launch = [](CUfunc_st*, const Plan&, const void*, CUstream_st*) {
      launched.fetch_add(1, std::memory_order_relaxed);  // orders nothing: races would show
      return 0;
    };
    dispatcher_ = *Dispatcher::Open(
        {.cubin_folder = folder_.path(), .driver = &driver_, .nvrtc = &gpu_.nvrtc.api()});
  }

  FakeGpu gpu_;
  DriverApi driver_ = gpu_.driver;
  TempFolder folder_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(ConcurrentDispatcher, LaunchesGoOnWhilePreparesChangeTheTable) {
  const Problem problem = Sized(64, 8);
  ASSERT_TRUE(dispatcher_->Prepare(problem).ok());
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0;
  std::vector<std::jthread> launchers;
  for (int thread = 0; thread < 3; ++thread) {
    launchers.emplace_back([&, thread] {
      const Problem mine = Sized(64, 1 << thread);
      while (!stop) failures += !dispatcher_->Launch(mine.shape, ArgsOf(mine), nullptr).ok();
    });
  }
  for (int64_t i = 0; i < 40; ++i) {
    const Candidate candidate = ReferenceCandidate(i % 2 == 0 ? 16 : 128);
    EXPECT_TRUE(dispatcher_->Prepare(Sized(64, 1 + i % 10), candidate).ok());
  }
  stop = true;
  launchers.clear();
  EXPECT_EQ(failures, 0);
}

TEST_F(ConcurrentDispatcher, UnforeseenShapesFromManyThreadsAreAllFetched) {
  ASSERT_TRUE(dispatcher_->Prepare(Sized(64, 8)).ok());
  std::vector<std::jthread> launchers;
  for (int64_t thread = 0; thread < 4; ++thread) {
    launchers.emplace_back([&, thread] {
      for (int64_t i = 0; i < 8; ++i) {
        const Problem problem = Sized(128 + 8 * (i + thread), 16);
        EXPECT_TRUE(dispatcher_->Launch(problem.shape, ArgsOf(problem), nullptr).ok());
      }
    });
  }
  launchers.clear();
  dispatcher_->WaitForBackground();
  for (int64_t i = 0; i < 11; ++i) {
    EXPECT_TRUE(dispatcher_->Inspect(Sized(128 + 8 * i, 16)).ok()) << i;
  }
}

TEST_F(ConcurrentDispatcher, PreparesOfTheSameProblemLoadItOnce) {
  std::vector<std::jthread> preparers;
  for (int thread = 0; thread < 4; ++thread) {
    preparers.emplace_back([&] { EXPECT_TRUE(dispatcher_->Prepare(Sized(64, 8)).ok()); });
  }
  preparers.clear();
  EXPECT_EQ(gpu_.cuda.loaded_modules(), 1);
}

TEST_F(ConcurrentDispatcher, ItCanBeDestroyedWhileTheBackgroundIsBusy) {
  ASSERT_TRUE(dispatcher_->Prepare(Sized(64, 8)).ok());
  for (int64_t i = 0; i < 30; ++i) {
    const Problem problem = Sized(128 + 8 * i, 16);
    ASSERT_TRUE(dispatcher_->Launch(problem.shape, ArgsOf(problem), nullptr).ok());
  }
  dispatcher_.reset();
  EXPECT_EQ(gpu_.cuda.loaded_modules(), 0);
}

TEST(ConcurrentMissQueue, LosesNothingThatItAccepted) {
  constexpr int64_t kEach = 2000;
  constexpr int64_t kThreads = 3;
  MissQueue queue;
  int64_t received = 0;
  int64_t sum = 0;
  std::jthread consumer([&] {
    while (const std::optional<Problem> problem = queue.Next()) {
      ++received;
      sum += problem->tokens;
    }
  });
  std::atomic<int64_t> sent_sum = 0;
  {
    std::vector<std::jthread> producers;
    for (int64_t thread = 0; thread < kThreads; ++thread) {
      producers.emplace_back([&, thread] {
        Problem problem = SmallProblem(1);
        for (int64_t i = 0; i < kEach; ++i) {
          problem.tokens = thread * kEach + i;
          while (!queue.Push(problem)) std::this_thread::yield();
          sent_sum += problem.tokens;
        }
      });
    }
  }
  queue.WaitUntilIdle();
  queue.Close();
  consumer.join();
  EXPECT_EQ(received, kEach * kThreads);
  EXPECT_EQ(sum, sent_sum);
}

}  // namespace
}  // namespace moetune
