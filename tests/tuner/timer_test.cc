#include "tuner/timer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tuner/timer_fixture.h"

namespace moetune {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(ProbeRule, DropsWhatIsHalfSlowerAndGivesShortKernelsMoreRoom) {
  EXPECT_FALSE(IsHopeless(149, 100));
  EXPECT_TRUE(IsHopeless(151, 100));
  EXPECT_FALSE(IsHopeless(19, 10));
  EXPECT_TRUE(IsHopeless(21, 10));
  EXPECT_FALSE(IsHopeless(1e9, 0)) << "nothing to compare with";
}

TEST(Policy, ItsTextNamesEveryConstantThatATimeDependsOn) {
  const std::string text = Policy{}.Text();
  EXPECT_NE(text, Policy{.version = 2}.Text());
  EXPECT_NE(text, Policy{.flush_bytes = 1}.Text());
  EXPECT_NE(text, Policy{.flush_l2_times = 1}.Text());
  EXPECT_NE(text, Policy{.probe_samples = 1}.Text());
  EXPECT_NE(text, Policy{.short_samples = 1}.Text());
  EXPECT_NE(text, Policy{.final_rounds = 1}.Text());
  EXPECT_NE(text, Policy{.long_us = 1}.Text());
  EXPECT_NE(text, Policy{.long_probe_samples = 1}.Text());
  EXPECT_NE(text, Policy{.long_short_samples = 1}.Text());
  EXPECT_NE(text, Policy{.long_final_rounds = 1}.Text());
  EXPECT_NE(text, Policy{.idle_gap = 1}.Text());
  EXPECT_NE(text, Policy{.idle_us = 1}.Text());
  EXPECT_NE(text, Policy{.idle_tokens = 1}.Text());
  EXPECT_NE(text, AsPeersWereTimed({}).Text());
}

TEST_F(TimerTest, ASampleIsTheTimeOfTheLaunchAlone) {
  EXPECT_NEAR(timer_.Sample(LaunchOf(32)).value(), 32, 1e-3);
  EXPECT_NEAR(timer_.Sample(LaunchOf(64)).value(), 64, 1e-3);
}

TEST_F(TimerTest, TheClockIsCountedOutsideOfWhatIsTimed) {
  const ClockProbe clock = MakeClock();
  EXPECT_NEAR(timer_.Sample(LaunchOf(32), &clock).value(), 32, 1e-3);
  EXPECT_NEAR(timer_.SmClock(clock).value(), fake_cuda::kSmClockMhz, 0.1);
}

TEST_F(TimerTest, AHotSampleIsOneOfSeveralLaunchesAfterOneThatDoesNotCount) {
  const Enqueue first = LaunchOf(128);
  const Enqueue others = LaunchOf(32);
  int launched = 0;
  const Enqueue launch = [&] { return launched++ == 0 ? first() : others(); };
  EXPECT_NEAR(timer_.SampleHot(launch, 4).value(), 32, 1e-3);
  EXPECT_EQ(launched, 1 + 4);
}

TEST_F(TimerTest, AProbeEndsEarlyWhenItIsHopelessOrLong) {
  int told = 0;
  const auto samples = [&](const Enqueue& launch, double best_us) {
    return timer_.Probe(launch, 64, best_us, [&] { ++told; })->size();
  };
  const Enqueue launch = LaunchOf(64);
  EXPECT_EQ(samples(launch, 0), 3u);
  EXPECT_EQ(samples(launch, 60), 3u);
  EXPECT_EQ(samples(launch, 20), 1u);
  EXPECT_EQ(samples(LaunchOf(128), 0), 2u);
  EXPECT_EQ(told, 3 + 3 + 1 + 2);
}

TEST_F(TimerTest, WhatALongKernelTookWhenItWasVerifiedIsItsFirstSample) {
  int told = 0;
  const Enqueue launch = LaunchOf(128);
  const auto samples = [&](double verified_us, double best_us) {
    return timer_.Probe(launch, verified_us, best_us, [&] { ++told; }).value();
  };
  EXPECT_THAT(samples(3100, 0), ElementsAre(3100, DoubleNear(3000, 1e-3)));
  EXPECT_THAT(samples(3100, 1000), ElementsAre(3100)) << "hopeless: not launched again";
  EXPECT_THAT(samples(1900, 1000), ElementsAre(DoubleNear(3000, 1e-3))) << "too short to count";
  EXPECT_EQ(told, 1 + 0 + 1);
}

}  // namespace
}  // namespace moetune
