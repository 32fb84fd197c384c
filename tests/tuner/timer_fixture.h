// A timer on a fictional GPU, for the tests of what it times.
#ifndef MOETUNE_TESTS_TUNER_TIMER_FIXTURE_H_
#define MOETUNE_TESTS_TUNER_TIMER_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "runtime/clock_probe.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/fake_machine.h"
#include "tuner/timer.h"
#include "tuner/workload.h"

namespace moetune {

inline constexpr Policy kQuickPolicy = {.flush_bytes = 4096, .flush_l2_times = 0, .idle_gap = 0};

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

  ClockProbe MakeClock() {
    const Cubin cubin = Compile(gpu_.nvrtc.api(), ClockProbeSource(), "sm_90a").value();
    return ClockProbe::Load(context_, cubin).value();
  }

  const Problem problem_ = ProblemOf("forward/bf16/plain/e2/t4x1/n8/k8");
  FakeGpu gpu_ = FakeGpu(Script());
  const Context& context_ = gpu_.context;
  Stream stream_ = Stream::Create(gpu_.driver).value();
  Timer timer_ = Timer::Create(context_, stream_.get(), kQuickPolicy).value();
  Workload workload_ = Workload(context_, stream_.get());
  std::vector<std::unique_ptr<LoadedKernel>> kernels_;
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TUNER_TIMER_FIXTURE_H_
