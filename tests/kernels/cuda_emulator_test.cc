// The emulator that runs device text on the host: what the kernel tests rely on.
#include "tests/testing/cuda_emulator.h"

#include <set>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"

namespace moetune {
namespace {

using cuda_emulator::Launch;
using cuda_emulator::ThreadOrder;
using testing::HasSubstr;

constexpr unsigned kAllLanes = 0xffffffffu;

int Thread() { return static_cast<int>(cuda_emulator::ThreadIdx().x); }

TEST(CudaEmulator, RunsEveryThreadOfTheGridOnce) {
  std::multiset<std::tuple<unsigned, unsigned, unsigned, int>> runs;
  ASSERT_TRUE(Launch({.grid = {3, 2, 2}, .threads = 40}, [&] {
                const cuda_emulator::Index block = cuda_emulator::BlockIdx();
                runs.insert({block.x, block.y, block.z, Thread()});
              }).ok());
  EXPECT_EQ(runs.size(), 3u * 2 * 2 * 40);
  EXPECT_EQ(std::set(runs.begin(), runs.end()).size(), runs.size());
  EXPECT_EQ(*runs.rbegin(), std::tuple(2u, 1u, 1u, 39));
}

TEST(CudaEmulator, LaunchesNothingOnAnEmptyGrid) {
  int runs = 0;
  EXPECT_TRUE(Launch({.grid = {0, 1, 1}, .threads = 32}, [&] { ++runs; }).ok());
  EXPECT_EQ(runs, 0);
}

TEST(CudaEmulator, BarrierShowsEachThreadWhatTheOthersWroteBefore) {
  for (const ThreadOrder order : {ThreadOrder::kAscending, ThreadOrder::kDescending}) {
    constexpr int kThreads = 96;
    std::vector<int> shared(kThreads, 0);
    int wrong = 0;
    const absl::Status status = Launch(
        {.threads = kThreads},
        [&] {
          for (int step = 1; step < 20; ++step) {
            shared[static_cast<size_t>(Thread())] = step * 1000 + Thread();
            cuda_emulator::SyncThreads();
            const int other = (Thread() + step * 7) % kThreads;
            if (shared[static_cast<size_t>(other)] != step * 1000 + other) ++wrong;
            cuda_emulator::SyncThreads();
          }
        },
        order);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(wrong, 0);
  }
}

// The race of a missing barrier: whichever thread goes first reads what is not there yet.
TEST(CudaEmulator, MissingBarrierGivesAWrongResult) {
  for (const ThreadOrder order : {ThreadOrder::kAscending, ThreadOrder::kDescending}) {
    std::vector<int> shared(64, 0);
    int wrong = 0;
    const auto body = [&] {
      shared[static_cast<size_t>(Thread())] = 1;
      if (shared[static_cast<size_t>(63 - Thread())] != 1) ++wrong;
    };
    ASSERT_TRUE(Launch({.threads = 64}, body, order).ok());
    EXPECT_GT(wrong, 0);
  }
}

TEST(CudaEmulator, WarpFunctionsExchangeWithinTheWarp) {
  int wrong = 0;
  const auto expect = [&](bool holds) { wrong += holds ? 0 : 1; };
  const absl::Status status = Launch({.threads = 96}, [&] {
    const int lane = Thread() % 32;
    const int warp = Thread() / 32;
    expect(cuda_emulator::Shuffle(kAllLanes, Thread(), 5) == warp * 32 + 5);
    expect(cuda_emulator::Shuffle(kAllLanes, Thread(), 31 - lane) == warp * 32 + 31 - lane);
    expect(cuda_emulator::Shuffle(kAllLanes, 0.5f * static_cast<float>(lane), 3) == 1.5f);
    expect(cuda_emulator::ShuffleUp(kAllLanes, Thread(), 4) ==
           (lane < 4 ? Thread() : Thread() - 4));
    expect(cuda_emulator::Ballot(kAllLanes, lane % 2 == 1) == 0xaaaaaaaau);
    expect(cuda_emulator::Ballot(kAllLanes, lane == 31) == 0x80000000u);
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(wrong, 0);
}

TEST(CudaEmulator, LastWarpMayBeIncomplete) {
  unsigned ballot = 0;
  const auto body = [&] {
    const unsigned votes = cuda_emulator::Ballot(kAllLanes, true);
    if (Thread() == 39) ballot = votes;
  };
  ASSERT_TRUE(Launch({.threads = 40}, body).ok());
  EXPECT_EQ(ballot, 0xffu);
}

TEST(CudaEmulator, BarrierThatAThreadLeftOutIsAnError) {
  const auto body = [] {
    if (Thread() != 7) cuda_emulator::SyncThreads();
  };
  const absl::Status status = Launch({.grid = {2, 1, 1}, .threads = 64}, body);
  EXPECT_THAT(
      status.message(),
      HasSubstr("CTA 0,0,0 hangs: thread 0 waits in __syncthreads, which 63 of 64 threads"));
}

TEST(CudaEmulator, WarpFunctionThatALaneLeftOutIsAnError) {
  const auto body = [] {
    if (Thread() != 33) cuda_emulator::Ballot(kAllLanes, true);
  };
  EXPECT_THAT(Launch({.threads = 64}, body).message(), HasSubstr("which 31 of 32 threads reached"));
}

TEST(CudaEmulator, PartialMaskIsAnError) {
  const auto body = [] { cuda_emulator::Shuffle(0xffu, 1, 0); };
  EXPECT_THAT(Launch({.threads = 32}, body).message(),
              HasSubstr("thread 0: mask 0xff is not that of a full warp"));
}

TEST(CudaEmulator, RunsAgainAfterAnError) {
  const auto hang = [] {
    if (Thread() == 0) cuda_emulator::SyncThreads();
  };
  ASSERT_FALSE(Launch({.threads = 32}, hang).ok());
  EXPECT_TRUE(Launch({.threads = 32}, [] { cuda_emulator::SyncThreads(); }).ok());
}

}  // namespace
}  // namespace moetune
