#include "runtime/kernel_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

using testing::HasSubstr;

CaptureMode CaptureModeOfThread(const DriverApi& driver) {
  CaptureMode mode = CaptureMode::kGlobal;
  driver.exchange_capture_mode(&mode);
  const CaptureMode found = mode;
  driver.exchange_capture_mode(&mode);
  return found;
}

TEST(KernelPool, AConfigIsLoadedOnceForAllSizes) {
  FakeGpu gpu;
  const auto first = gpu.pool.Get(SmallProblem(1), ReferenceCandidate(), "");
  const auto second =
      gpu.pool.Get(ProblemOf("forward/bf16/plain/e2/t9x1/n7/k7"), ReferenceCandidate(), "");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(gpu.cuda.loaded_modules(), 1);
  EXPECT_EQ(gpu.nvrtc.compiles(), 1);
}

TEST(KernelPool, OtherFusionsOrConfigsAreOtherKernels) {
  FakeGpu gpu;
  const auto plain = gpu.pool.Get(SmallProblem(1), ReferenceCandidate(), "");
  const auto gather =
      gpu.pool.Get(ProblemOf("forward/bf16/gather/e8/t1x2/n1024/k512"), ReferenceCandidate(), "");
  const auto small = gpu.pool.Get(SmallProblem(1), ReferenceCandidate(32), "");
  ASSERT_TRUE(plain.ok() && gather.ok() && small.ok());
  EXPECT_NE(*plain, *gather);
  EXPECT_NE(*plain, *small);
  EXPECT_EQ(gpu.cuda.loaded_modules(), 3);
}

TEST(KernelPool, ConfigsThatShareACubinAreLoadedEachWithItsOwn) {
  FakeGpu gpu;
  for (const int group_m : {1, 8, 1, 8}) {
    const Candidate candidate = {FindFamily("sm80_mma").value(), MmaConfig(group_m)};
    const auto kernel = gpu.pool.Get(SmallProblem(1), candidate, "");
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    EXPECT_EQ((*kernel)->candidate(), candidate);
  }
  EXPECT_EQ(gpu.cuda.loaded_modules(), 2);
  EXPECT_EQ(gpu.nvrtc.compiles(), 1);
}

TEST(KernelPool, TheCubinThatWasTimedServesAnotherNvrtc) {
  FakeGpu gpu({.nvrtc_major = 13, .nvrtc_minor = 1});
  const Source source = MakeSource(SmallProblem(1).shape, ReferenceCandidate());
  const CubinCache cache = *CubinCache::Open(gpu.folder.path());
  const Cubin timed = *Compile(gpu.nvrtc.api(), source, "sm_90a");
  ASSERT_TRUE(cache.Put(CubinKey(source, "sm_90a", "12.9"), timed).ok());
  EXPECT_TRUE(gpu.pool.Get(SmallProblem(1), ReferenceCandidate(), "12.9").ok());
  EXPECT_EQ(gpu.nvrtc.compiles(), 1);  // the one above
}

TEST(KernelPool, ATimedCubinThatTheDriverRefusesIsCompiledHere) {
  FakeGpu gpu({.nvrtc_major = 12, .nvrtc_minor = 8});
  const Source source = MakeSource(SmallProblem(1).shape, ReferenceCandidate());
  const CubinCache cache = *CubinCache::Open(gpu.folder.path());
  const Cubin refused = *Compile(gpu.nvrtc.api(), source, "sm_80");
  ASSERT_TRUE(cache.Put(CubinKey(source, "sm_90a", "13.0"), refused).ok());
  const auto kernel = gpu.pool.Get(SmallProblem(1), ReferenceCandidate(), "13.0");
  EXPECT_TRUE(kernel.ok()) << kernel.status();
  EXPECT_EQ(gpu.nvrtc.compiles(), 2);
}

TEST(KernelPool, WithoutACompilerTheRefusalOfTheTimedCubinIsTheError) {
  FakeGpu gpu;
  const Source source = MakeSource(SmallProblem(1).shape, ReferenceCandidate());
  const CubinCache cache = *CubinCache::Open(gpu.folder.path());
  const Cubin refused = *Compile(gpu.nvrtc.api(), source, "sm_80");
  ASSERT_TRUE(cache.Put(CubinKey(source, "sm_90a", "12.9"), refused).ok());
  const NvrtcApi broken = {
      .version = [](int*, int*) { return 1; },
      .compile =
          [](std::string_view, std::span<const EmbeddedFile>, const std::vector<std::string>&) {
            return NvrtcResult{.ok = false, .cubin = {}, .log = "broken"};
          }};
  KernelPool pool(gpu.context, cache, {.max_kernels = 1, .nvrtc = &broken});
  EXPECT_THAT(pool.Get(SmallProblem(1), ReferenceCandidate(), "12.9").status().ToString(),
              HasSubstr("cannot load reference"));
}

// In any other mode the driver refuses it, and ends the capture.
TEST(KernelPool, LoadsAndUnloadsInRelaxedCaptureModeAndLeavesTheThreadsOwn) {
  FakeGpu gpu;
  static const DriverApi* real;
  static int calls, relaxed_calls;
  real = &gpu.driver;
  calls = relaxed_calls = 0;
  DriverApi driver = gpu.driver;
  driver.module_load = [](CUmod_st** module, const void* image) {
    ++calls;
    relaxed_calls += CaptureModeOfThread(*real) == CaptureMode::kRelaxed;
    return real->module_load(module, image);
  };
  driver.module_unload = [](CUmod_st* module) {
    ++calls;
    relaxed_calls += CaptureModeOfThread(*real) == CaptureMode::kRelaxed;
    return real->module_unload(module);
  };
  const Context context = *Context::Acquire(driver, 0);
  {
    KernelPool pool(context, *CubinCache::Open(gpu.folder.path()),
                    {.max_kernels = 1, .nvrtc = &gpu.nvrtc.api()});
    ASSERT_TRUE(pool.Get(SmallProblem(1), ReferenceCandidate(), "").ok());
    EXPECT_EQ(CaptureModeOfThread(driver), CaptureMode::kGlobal);
  }
  EXPECT_EQ(CaptureModeOfThread(driver), CaptureMode::kGlobal);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(relaxed_calls, calls);
}

TEST(KernelPool, CompilesWhereTheTimedCubinIsNotInTheCache) {
  FakeGpu gpu;
  EXPECT_TRUE(gpu.pool.Get(SmallProblem(1), ReferenceCandidate(), "12.9").ok());
  EXPECT_EQ(gpu.nvrtc.compiles(), 1);
}

TEST(KernelPool, AFullPoolRefusesBeforeItCompiles) {
  FakeGpu gpu;
  KernelPool pool(gpu.context, *CubinCache::Open(gpu.folder.path()),
                  {.max_kernels = 1, .nvrtc = &gpu.nvrtc.api()});
  ASSERT_TRUE(pool.Get(SmallProblem(1), ReferenceCandidate(32), "").ok());
  const auto refused = pool.Get(SmallProblem(1), ReferenceCandidate(64), "");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status().ToString(), HasSubstr("1 kernels are loaded"));
  EXPECT_EQ(gpu.nvrtc.compiles(), 1);
  EXPECT_TRUE(pool.Get(SmallProblem(5), ReferenceCandidate(32), "").ok());  // is loaded already
}

}  // namespace
}  // namespace moetune
