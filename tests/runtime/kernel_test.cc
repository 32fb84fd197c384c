#include "runtime/kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "tests/testing/fake_cuda.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/forward_case.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using testing::HasSubstr;

const Candidate kCandidate = {FindFamily("reference").value(), ReferenceConfig()};
const Problem kProblem = ProblemOf("forward/bf16/plain/e4/t4x2/n24/k16/softmax");

// A kernel of `candidate` in a fictional GPU, the fakes behaving as in `script`.
class KernelTest : public testing::Test {
 protected:
  explicit KernelTest(FakeScript script = {}) : nvrtc_(script), cuda_(script) {}

  absl::StatusOr<LoadedKernel> Load(const Problem& problem, const ArgTypes& types = {},
                                    const Candidate& candidate = kCandidate,
                                    std::string_view arch = "sm_90a") {
    absl::StatusOr<Cubin> cubin =
        Compile(nvrtc_.api(), MakeSource(problem.shape, candidate, types), arch);
    if (!cubin.ok()) return cubin.status();
    return LoadedKernel::Load(context_, *cubin, candidate, problem);
  }

  FakeNvrtc nvrtc_;
  FakeCuda cuda_;
  const DriverApi& driver_ = cuda_.api();
  Context context_ = *Context::Acquire(driver_, 0);
  Stream stream_ = *Stream::Create(driver_);
};

TEST_F(KernelTest, LaunchesEveryVariantOfForward) {
  for (const std::string dtype : {"bf16", "fp16", "bf16-fp32", "fp32"}) {
    for (const std::string fusions : {"plain", "gather", "scatter", "scatter+scale", "swiglu",
                                      "gather+swiglu+preact", "combine"}) {
      for (const ArgTypes types : {ArgTypes{}, ArgTypes{.index64 = true, .scale_fp32 = false}}) {
        const Problem problem =
            ProblemOf("forward/" + dtype + "/" + fusions + "/e5/t7x2/n18/k24/softmax");
        SCOPED_TRACE(ProblemKey(problem));
        const absl::StatusOr<LoadedKernel> kernel = Load(problem, types);
        ASSERT_TRUE(kernel.ok()) << kernel.status();
        const auto run = ForwardCase::Create(driver_, problem, {.types = types});
        ASSERT_TRUE(run.ok()) << run.status();
        ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
        EXPECT_EQ(run->CheckOutput(), absl::OkStatus());
      }
    }
  }
}

TEST_F(KernelTest, AnOutputThatWasNotWrittenDoesNotPassTheCheck) {
  const auto run = ForwardCase::Create(driver_, kProblem);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_FALSE(run->CheckOutput().ok());
}

TEST_F(KernelTest, SlotsOfOtherRanksStayUntouchedInExpertParallelism) {
  const Problem problem = ProblemOf("forward/bf16/scatter/e4/t16x2/n8/k16/r11/softmax");
  const absl::StatusOr<LoadedKernel> kernel = Load(problem);
  const auto run = ForwardCase::Create(driver_, problem, {.row_counts = {0, 1, 7, 3}});
  ASSERT_TRUE(kernel.ok() && run.ok());
  ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
  EXPECT_EQ(run->CheckOutput(), absl::OkStatus());
}

// Theirs have weight zero, and what the workspace held is not read.
TEST_F(KernelTest, CombineSumsTheSlotsOfThisRankAlone) {
  const Problem problem = ProblemOf("forward/bf16/combine/e4/t16x2/n8/k16/r11/softmax");
  const absl::StatusOr<LoadedKernel> kernel = Load(problem);
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  for (const std::vector<int64_t>& row_counts : {std::vector<int64_t>{0, 1, 7, 3}, {0, 2, 0, 0}}) {
    const auto run = ForwardCase::Create(driver_, problem, {.row_counts = row_counts});
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
    EXPECT_EQ(run->CheckOutput(), absl::OkStatus());
  }
}

TEST_F(KernelTest, CombineOfNoRowsWritesZeros) {
  Problem problem = ProblemOf("forward/bf16/combine/e4/t16x2/n8/k16/r11/softmax");
  const absl::StatusOr<LoadedKernel> kernel = Load(problem);
  const auto run = ForwardCase::Create(driver_, problem, {.row_counts = {0, 0, 0, 0}});
  ASSERT_TRUE(kernel.ok() && run.ok());
  problem.rows = 0;
  MoeArgs args = run->args();
  args.rows = 0;
  args.x = args.row_index = nullptr;
  ASSERT_TRUE(kernel->Launch(problem, args, stream_.get()).ok());
  EXPECT_EQ(run->CheckOutput(), absl::OkStatus());
  EXPECT_TRUE(cuda_.launches().empty()) << "of moe_kernel";
}

TEST_F(KernelTest, FewerRowsThanTheLaunchHasRoomForAreFine) {
  const Problem problem = ProblemOf("forward/bf16/plain/e3/t8x1/n8/k16/softmax");
  const absl::StatusOr<LoadedKernel> kernel = Load(problem);
  const auto run = ForwardCase::Create(driver_, problem, {.row_counts = {2, 0, 1}});
  ASSERT_TRUE(kernel.ok() && run.ok());
  ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
  EXPECT_EQ(run->CheckOutput(), absl::OkStatus());
}

TEST_F(KernelTest, OneCubinServesEverySize) {
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  for (const std::string sizes : {"e1/t1x1/n1/k1", "e9/t5x3/n33/k7", "e2/t40x2/n64/k100"}) {
    const Problem problem = ProblemOf("forward/bf16/plain/" + sizes + "/softmax");
    const auto run = ForwardCase::Create(driver_, problem);
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
    EXPECT_EQ(run->CheckOutput(), absl::OkStatus()) << sizes;
  }
}

TEST_F(KernelTest, AnOperandThatTheFamilyCannotReadIsRefusedAndNamed) {
  const Candidate candidate = *DefaultCandidate(kProblem, context_.device());
  ASSERT_NE(candidate.family->name, "reference");
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem, {}, candidate);
  const auto run = ForwardCase::Create(driver_, kProblem);
  ASSERT_TRUE(kernel.ok() && run.ok()) << kernel.status();
  MoeArgs args = run->args();
  args.w = static_cast<const char*>(args.w) + 2;
  const absl::Status status = kernel->Launch(kProblem, args, stream_.get());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.ToString(), HasSubstr("w at 0x"));
  EXPECT_THAT(status.ToString(), HasSubstr("multiple of 16 bytes"));
}

// It was loaded for few rows, and 32 bits do not say where these begin.
TEST_F(KernelTest, MoreOfXThanTheFamilyCanAddressIsRefused) {
  const Problem problem = ProblemOf("forward/bf16/gather/e4/t4x1/n64/k1024");
  const Candidate candidate = {FindFamily("sm80_mma").value(), MmaConfig(1)};
  const absl::StatusOr<LoadedKernel> kernel = Load(problem, {}, candidate);
  const auto run = ForwardCase::Create(driver_, problem);
  ASSERT_TRUE(kernel.ok() && run.ok()) << kernel.status();
  Problem large = problem;
  large.tokens = large.rows = 1 << 25;
  MoeArgs args = run->args();
  args.tokens = args.rows = large.rows;
  const absl::Status status = kernel->Launch(large, args, stream_.get());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.ToString(), HasSubstr("x has 34359738368 elements; sm80_mma takes at most"));
  EXPECT_TRUE(cuda_.launches().empty());
}

TEST_F(KernelTest, ZeroRowsLaunchNothing) {
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  Problem problem = kProblem;
  problem.tokens = 0;
  problem.rows = 0;
  EXPECT_TRUE(kernel->Launch(problem, {}, stream_.get()).ok());
  EXPECT_TRUE(cuda_.launches().empty());
}

TEST_F(KernelTest, KnowsItsOccupancyOnceLoaded) {
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  EXPECT_GT(kernel->facts().resident_ctas, 0);
  EXPECT_EQ(kernel->facts().registers, kFakeRegisters);
}

TEST_F(KernelTest, UnloadsItsModuleOnceHoweverOftenItMoves) {
  {
    absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
    ASSERT_TRUE(kernel.ok());
    const LoadedKernel moved = *std::move(kernel);
    EXPECT_EQ(cuda_.loaded_modules(), 1);
  }
  EXPECT_EQ(cuda_.loaded_modules(), 0);
}

TEST_F(KernelTest, ACubinOfAnotherArchitectureIsRefused) {
  const absl::Status status = Load(kProblem, {}, kCandidate, "sm_80").status();
  EXPECT_THAT(status.ToString(), HasSubstr("cannot load reference block_k=32 block_m=64"));
  EXPECT_THAT(status.ToString(), HasSubstr("no kernel image is available"));
}

TEST_F(KernelTest, WhatIsNoCubinIsRefused) {
  const Cubin cubin = {.image =
                           "\x7f"
                           "ELF"};
  EXPECT_FALSE(LoadedKernel::Load(context_, cubin, kCandidate, kProblem).ok());
}

// A family like reference, but with other launch sizes.
template <int threads, int64_t shared_bytes>
Candidate WithPlan(Family& family) {
  family = *FindFamily("reference").value();
  family.plan = [](const Problem&, const Config&, const DeviceSpec&, const KernelFacts&) {
    return Plan{.threads = threads, .dynamic_shared_bytes = shared_bytes};
  };
  return {&family, ReferenceConfig()};
}

TEST_F(KernelTest, SharedMemoryPastTheDefaultLimitIsAllowedBeforeTheLaunch) {
  Family family;
  const Problem problem = ProblemOf("forward/bf16/plain/e2/t4x1/n8/k8/softmax");
  const auto kernel = Load(problem, {}, WithPlan<128, 100'000>(family));
  const auto run = ForwardCase::Create(driver_, problem);
  ASSERT_TRUE(kernel.ok() && run.ok());
  EXPECT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
}

// Of one that was loaded for fewer: its table of experts lies in shared memory.
TEST_F(KernelTest, MoreExpertsMayTakeMoreSharedMemory) {
  const Problem few = ProblemOf("forward/bf16/plain/e4/t8x1/n64/k64/softmax");
  const Problem many = ProblemOf("forward/bf16/plain/e500/t8x1/n64/k64/softmax");
  const Candidate candidate = {FindFamily("sm90_wgmma").value(),
                               {{"block_k", 64},
                                {"block_m", 8},
                                {"block_n", 64},
                                {"cluster", 1},
                                {"consumers", 2},
                                {"group_m", 16},
                                {"pingpong", 1},
                                {"sort", 0},
                                {"stages", 8},
                                {"tail_step", 16}}};
  const auto shared = [&](const Problem& problem) {
    return candidate.family->plan(problem, candidate.config, context_.device(), {})
        .dynamic_shared_bytes;
  };
  ASSERT_GT(shared(many), shared(few));
  const absl::StatusOr<LoadedKernel> kernel = Load(few, {}, candidate);
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  const auto run = ForwardCase::Create(driver_, many);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(kernel->Launch(many, run->args(), stream_.get()), absl::OkStatus());
  EXPECT_EQ(run->CheckOutput(), absl::OkStatus());
}

TEST_F(KernelTest, WhatIsNotCompiledInComesWithTheLaunch) {
  const Problem problem = ProblemOf("forward/bf16/plain/e2/t8x1/n64/k64/softmax");
  const auto run = ForwardCase::Create(driver_, problem);
  ASSERT_TRUE(run.ok()) << run.status();
  for (const int group_m : {1, 8}) {
    const Candidate candidate = {FindFamily("sm80_mma").value(), MmaConfig(group_m)};
    const absl::StatusOr<LoadedKernel> kernel = Load(problem, {}, candidate);
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
    EXPECT_EQ(cuda_.launches().back().candidate, candidate);
  }
}

TEST_F(KernelTest, OnlyAKernelThatDrawsItsTilesIsGivenAQueue) {
  const Problem problem = ProblemOf("forward/bf16/plain/e2/t8x1/n64/k64/softmax");
  const auto run = ForwardCase::Create(driver_, problem);
  ASSERT_TRUE(run.ok()) << run.status();
  const Family& wgmma = *FindFamily("sm90_wgmma").value();
  std::set<bool> seen;
  for (const Config& config : EnumerateLegal(wgmma, problem, context_.device())) {
    const Plan plan = wgmma.plan(problem, config, context_.device(), {});
    if (!seen.insert(plan.draws_tiles).second) continue;
    const absl::StatusOr<LoadedKernel> kernel = Load(problem, {}, {&wgmma, config});
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    ASSERT_TRUE(kernel->Launch(problem, run->args(), stream_.get()).ok());
    EXPECT_EQ(cuda_.launches().back().launch.queue >= 0, plan.draws_tiles) << config.Text();
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(KernelTest, MoreSharedMemoryThanTheDeviceHasIsAnErrorThatNamesTheConfig) {
  Family family;
  const auto kernel = Load(kProblem, {}, WithPlan<128, 300'000>(family));
  EXPECT_THAT(kernel.status().ToString(), HasSubstr("shared memory to reference block_k=32"));
}

TEST_F(KernelTest, AKernelOfWhichNoCtaFitsIsRefusedWhenLoaded) {
  Family family;
  const auto kernel = Load(kProblem, {}, WithPlan<2048, 0>(family));
  EXPECT_THAT(kernel.status().ToString(), HasSubstr("not one CTA of reference"));
}

class RefusedLoad : public KernelTest {
 protected:
  RefusedLoad() : KernelTest({.faults = {{FakeFaultKind::kLoadError}}}) {}
};

TEST_F(RefusedLoad, NamesTheConfigAndLeavesNothingLoaded) {
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
  EXPECT_THAT(kernel.status().ToString(),
              HasSubstr("cannot load reference block_k=32 block_m=64 block_n=64 threads=128"));
  EXPECT_EQ(cuda_.loaded_modules(), 0);
}

class RefusedLaunch : public KernelTest {
 protected:
  RefusedLaunch() : KernelTest({.faults = {{FakeFaultKind::kLaunchError}}}) {}
};

TEST_F(RefusedLaunch, NamesTheConfig) {
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
  const auto run = ForwardCase::Create(driver_, kProblem);
  ASSERT_TRUE(kernel.ok() && run.ok());
  const absl::Status status = kernel->Launch(kProblem, run->args(), stream_.get());
  EXPECT_THAT(status.ToString(), HasSubstr("cannot launch reference block_k=32"));
  EXPECT_THAT(status.ToString(), HasSubstr("too many resources"));
}

class BrokenKernel : public KernelTest {
 protected:
  BrokenKernel() : KernelTest({.faults = {{FakeFaultKind::kIllegalAddress}}}) {}
};

TEST_F(BrokenKernel, ShowsAtTheNextSynchronisationAndLosesTheContext) {
  const absl::StatusOr<LoadedKernel> kernel = Load(kProblem);
  const auto run = ForwardCase::Create(driver_, kProblem);
  ASSERT_TRUE(kernel.ok() && run.ok());
  EXPECT_TRUE(kernel->Launch(kProblem, run->args(), stream_.get()).ok());
  EXPECT_THAT(stream_.Synchronize().ToString(), HasSubstr("illegal memory access"));
  EXPECT_FALSE(Buffer::Allocate(driver_, 1).ok());
  EXPECT_FALSE(Load(kProblem).ok());
}

}  // namespace
}  // namespace moetune
