#include "tuner/timer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "tests/testing/fake_gpu.h"
#include "tuner/workload.h"

namespace moetune {
namespace {

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

constexpr Policy kPolicy = {.flush_bytes = 4096, .flush_l2_times = 0, .idle_gap = 0};

// A fictional GPU on which ReferenceCandidate(m) takes m µs.
class TimerTest : public ::testing::Test {
 protected:
  TimerTest() { EXPECT_TRUE(workload_.Load(problem_, 1, {}).ok()); }

  static FakeScript Script() {
    FakeScript script;
    for (int64_t m : {16, 32, 64, 128}) {
      script.times.push_back({m == 128 ? 3000.0 : m, {"reference", ReferenceConfig(m)}});
    }
    return script;
  }

  LoadedKernel& Load(int64_t block_m) {
    const Candidate candidate = ReferenceCandidate(block_m);
    const Cubin cubin =
        Compile(gpu_.nvrtc.api(), MakeSource(problem_.shape, candidate), "sm_90a").value();
    kernels_.push_back(std::make_unique<LoadedKernel>(
        LoadedKernel::Load(context_, cubin, candidate, problem_).value()));
    return *kernels_.back();
  }

  Enqueue LaunchOf(int64_t block_m) {
    LoadedKernel& kernel = Load(block_m);
    return [this, &kernel] { return kernel.Launch(problem_, workload_.Args(0), stream_.get()); };
  }

  const Problem problem_ = ProblemOf("forward/bf16/plain/e2/t4x1/n8/k8");
  FakeGpu gpu_ = FakeGpu(Script());
  const Context& context_ = gpu_.context;
  Stream stream_ = Stream::Create(gpu_.driver).value();
  Timer timer_ = Timer::Create(context_, stream_.get(), kPolicy).value();
  Workload workload_ = Workload(context_, stream_.get());
  std::vector<std::unique_ptr<LoadedKernel>> kernels_;
};

TEST_F(TimerTest, ASampleIsTheTimeOfTheLaunchAlone) {
  EXPECT_NEAR(timer_.Sample(LaunchOf(32)).value(), 32, 1e-3);
  EXPECT_NEAR(timer_.Sample(LaunchOf(64)).value(), 64, 1e-3);
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
    return timer_.Probe(launch, best_us, [&] { ++told; })->size();
  };
  const Enqueue launch = LaunchOf(64);
  EXPECT_EQ(samples(launch, 0), 3u);
  EXPECT_EQ(samples(launch, 60), 3u);
  EXPECT_EQ(samples(launch, 20), 1u);
  EXPECT_EQ(samples(LaunchOf(128), 0), 2u);
  EXPECT_EQ(told, 3 + 3 + 1 + 2);
}

TEST_F(TimerTest, EveryRoundSamplesEachLaunchOnceInAnOrderOfItsOwn) {
  const std::vector<Enqueue> launches = {LaunchOf(16), LaunchOf(32), LaunchOf(64)};
  std::vector<size_t> order;
  const auto samples =
      timer_.Interleave(launches, 10, /*idle=*/false, 1, [&](size_t i) { order.push_back(i); });
  ASSERT_TRUE(samples.ok()) << samples.status();
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ((*samples)[i].size(), 10u);
    EXPECT_NEAR((*samples)[i][7], 16 << i, 1e-3);
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

TEST_F(TimerTest, IdleRoundsRestThreeTimesAsLongAsTheKernelRuns) {
  Timer resting =
      Timer::Create(context_, stream_.get(), {.flush_bytes = 4096, .flush_l2_times = 0}).value();
  const std::vector<Enqueue> launches = {LaunchOf(128)};  // 3 ms
  const absl::Time start = absl::Now();
  EXPECT_TRUE(resting.Interleave(launches, 2, /*idle=*/true, 1, [](size_t) {}).ok());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(18));
}

}  // namespace
}  // namespace moetune
