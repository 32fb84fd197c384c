#include "tuner/rounds.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "tests/tuner/timer_fixture.h"

namespace moetune {
namespace {

using RoundsTest = TimerTest;

TEST_F(RoundsTest, EveryRoundSamplesEachLaunchOnceInAnOrderOfItsOwn) {
  const std::vector<Enqueue> launches = {LaunchOf(16), LaunchOf(32), LaunchOf(64)};
  std::vector<size_t> order;
  const auto rounds = Interleave(
      timer_, launches, {.rounds = 10, .seed = 1, .before = [&](size_t i) { order.push_back(i); }});
  ASSERT_TRUE(rounds.ok()) << rounds.status();
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(rounds->samples_us[i].size(), 10u);
    EXPECT_NEAR(rounds->samples_us[i][7], 16 << i, 1e-3);
  }
  ASSERT_EQ(order.size(), 30u);
  bool differs = false;
  for (size_t round = 0; round < 10; ++round) {
    std::vector<size_t> of_round(order.begin() + 3 * round, order.begin() + 3 * round + 3);
    differs |= !std::equal(of_round.begin(), of_round.end(), order.begin());
    std::sort(of_round.begin(), of_round.end());
    EXPECT_EQ(of_round, (std::vector<size_t>{0, 1, 2}));
  }
  EXPECT_TRUE(differs);
}

TEST_F(RoundsTest, IdleRoundsRestThreeTimesAsLongAsTheKernelRuns) {
  Timer resting =
      Timer::Create(context_, stream_.get(), {.flush_bytes = 4096, .flush_l2_times = 0}).value();
  const std::vector<Enqueue> launches = {LaunchOf(128)};  // 3 ms
  const absl::Time start = absl::Now();
  EXPECT_TRUE(Interleave(resting, launches, {.rounds = 2, .idle = true}).ok());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(18));
}

// Reads one after the other, and the last one for ever.
std::function<uint32_t()> Scripted(std::vector<uint32_t> reasons) {
  return [reasons, next = size_t{0}]() mutable {
    return reasons[std::min(next++, reasons.size() - 1)];
  };
}

TEST_F(RoundsTest, ARoundInWhichTheThrottlingChangedIsMeasuredAgain) {
  int launched = 0;
  const Enqueue slow = LaunchOf(64), fast = LaunchOf(32);
  const Enqueue launch = [&] { return launched++ == 1 ? slow() : fast(); };
  const auto rounds =
      Interleave(timer_, {&launch, 1}, {.rounds = 3, .throttling = Scripted({0, 0, 4, 4})});
  ASSERT_TRUE(rounds.ok()) << rounds.status();
  EXPECT_EQ(launched, 4);
  ASSERT_EQ(rounds->samples_us[0].size(), 3u);
  for (const double us : rounds->samples_us[0]) EXPECT_NEAR(us, 32, 1e-3);
  EXPECT_EQ(rounds->throttling, 4u);
  EXPECT_EQ(rounds->unsteady, 0);
}

TEST_F(RoundsTest, ARoundIsMeasuredAgainThreeTimesAtMostAndThenKeptAndCounted) {
  int launched = 0;
  const Enqueue kernel = LaunchOf(32);
  const Enqueue launch = [&] { return ++launched, kernel(); };
  const auto rounds = Interleave(timer_, {&launch, 1},
                                 {.rounds = 2, .throttling = Scripted({0, 4, 0, 4, 0x24, 0x24})});
  ASSERT_TRUE(rounds.ok()) << rounds.status();
  EXPECT_EQ(launched, 4 + 1);
  EXPECT_EQ(rounds->samples_us[0].size(), 2u);
  EXPECT_EQ(rounds->unsteady, 1);
  EXPECT_EQ(rounds->throttling, 0x24u);
}

TEST_F(RoundsTest, ThrottlingThatLastsIsNoReasonToMeasureAgain) {
  int launched = 0;
  const Enqueue kernel = LaunchOf(32);
  const Enqueue launch = [&] { return ++launched, kernel(); };
  const auto rounds = Interleave(timer_, {&launch, 1}, {.rounds = 5, .throttling = Scripted({4})});
  ASSERT_TRUE(rounds.ok()) << rounds.status();
  EXPECT_EQ(launched, 5);
  EXPECT_EQ(rounds->throttling, 4u);
}

TEST_F(RoundsTest, TheClockOfALaunchIsTheMedianOfItsSamples) {
  const ClockProbe clock = MakeClock();
  const std::vector<Enqueue> launches = {LaunchOf(16), LaunchOf(32)};
  const auto with = Interleave(timer_, launches, {.rounds = 3, .clock = &clock});
  ASSERT_TRUE(with.ok()) << with.status();
  for (const double mhz : with->sm_clock_mhz) EXPECT_NEAR(mhz, fake_cuda::kSmClockMhz, 0.1);
  const auto without = Interleave(timer_, launches, {.rounds = 3});
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(without->sm_clock_mhz, (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace moetune
