#include "runtime/kernel_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

using testing::HasSubstr;

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
