#include "runtime/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/registry.h"
#include "kernels/sha256.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

Candidate Reference(int64_t block_m = 64) {
  return {FindFamily("reference").value(), ReferenceConfig(block_m)};
}

Source SmallSource(int64_t block_m = 64) {
  return MakeSource(SmallProblem(16).shape, Reference(block_m));
}

// The logs below were written by NVRTC 13.0.

TEST(CompilerLog, TellsRegistersAndSharedMemory) {
  const KernelFacts facts = ParseCompilerLog(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'moe_kernel' for 'sm_90a'\n"
      "ptxas info    : Function properties for moe_kernel\n"
      "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 168 registers, used 1 barriers, 4096 bytes smem\n"
      "ptxas info    : Compile time = 19.924 ms\n");
  EXPECT_EQ(facts, (KernelFacts{.registers = 168, .static_shared_bytes = 4096}));
}

TEST(CompilerLog, TellsStackFramesAndAddsSpillStoresToLoads) {
  const KernelFacts facts = ParseCompilerLog(
      "ptxas info    : Function properties for moe_kernel\n"
      "ptxas         .     1128 bytes stack frame, 1744 bytes spill stores, 1888 bytes spill "
      "loads\n"
      "ptxas info    : Used 64 registers, used 1 barriers, 1128 bytes cumulative stack size\n");
  EXPECT_EQ(facts.stack_bytes, 1128);
  EXPECT_EQ(facts.spill_bytes, 1744 + 1888);
  EXPECT_EQ(facts.registers, 64);
}

TEST(CompilerLog, AStackFrameWithoutSpillsCounts) {
  const KernelFacts facts = ParseCompilerLog(
      "ptxas         .     256 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 80 registers, used 1 barriers, 256 bytes cumulative stack size, 4096 "
      "bytes smem\n");
  EXPECT_EQ(facts.stack_bytes, 256);
  EXPECT_EQ(facts.spill_bytes, 0);
  EXPECT_EQ(facts.static_shared_bytes, 4096);
}

TEST(CompilerLog, ConstantMemoryIsNotSharedMemory) {
  const KernelFacts facts =
      ParseCompilerLog("ptxas info    : Used 10 registers, used 1 barriers, 360 bytes cmem[0]\n");
  EXPECT_EQ(facts, (KernelFacts{.registers = 10}));
}

TEST(CompilerLog, ADeviceFunctionThatWasNotInlinedCountsAsTheKernels) {
  const KernelFacts facts = ParseCompilerLog(
      "ptxas info    : Function properties for _Z5otherPfi\n"
      "ptxas         .     128 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n"
      "ptxas info    : Compiling entry function 'moe_kernel' for 'sm_90a'\n"
      "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 40 registers, used 0 barriers\n");
  EXPECT_EQ(facts.stack_bytes, 128);
  EXPECT_EQ(facts.spill_bytes, 12);
}

TEST(CompilerLog, AnAdvisoryOnWgmmaMarksTheKernelAsSerialised) {
  const KernelFacts facts = ParseCompilerLog(
      "ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are "
      "serialized due to insufficient register resources for the wgmma pipeline in the function "
      "'moe_kernel'\n"
      "ptxas info    : Used 30 registers, used 0 barriers\n");
  EXPECT_TRUE(facts.wgmma_serialised);
  EXPECT_EQ(facts.registers, 30);
}

TEST(CompilerLog, WarningsAreNoFacts) {
  const KernelFacts facts = ParseCompilerLog(
      "kernels/x.cuh(1): warning #177-D: variable \"registers\" was declared but never referenced\n"
      "  int registers = 3;\n"
      "      ^\n");
  EXPECT_EQ(facts, KernelFacts{});
}

TEST(CompilerLog, AnEmptyLogHasNoFacts) { EXPECT_EQ(ParseCompilerLog(""), KernelFacts{}); }

TEST(Compiler, PassesTheArchitectureAndEveryOptionOfTheSource) {
  const Source source = SmallSource();
  const std::vector<std::string> options = CompilerOptions(source, "sm_90a");
  EXPECT_THAT(options, testing::IsSupersetOf(source.options));
  EXPECT_THAT(options, testing::Contains("--gpu-architecture=sm_90a"));
  EXPECT_THAT(options, testing::Contains("--ptxas-options=-v"));
}

TEST(Compiler, GivesTheImageItsDigestAndTheFactsOfTheLog) {
  const FakeNvrtc nvrtc;
  const absl::StatusOr<Cubin> cubin = Compile(nvrtc.api(), SmallSource(), "sm_90a");
  ASSERT_TRUE(cubin.ok()) << cubin.status();
  EXPECT_EQ(cubin->sha256, Sha256Hex(cubin->image));
  EXPECT_EQ(cubin->facts.registers, kFakeRegisters);
  EXPECT_EQ(cubin->facts.static_shared_bytes, kFakeStaticSharedBytes);
}

TEST(Compiler, ARefusalCarriesTheLogTheFileAndTheArchitecture) {
  const FakeNvrtc nvrtc({.faults = {{FakeFaultKind::kCompileError}}});
  const absl::Status status = Compile(nvrtc.api(), SmallSource(), "sm_90a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.ToString(), HasSubstr("the script refuses it"));
  EXPECT_THAT(status.ToString(), HasSubstr("kernels/families/reference.cuh for sm_90a"));
}

TEST(Compiler, SpillsAreFactsNotErrors) {
  const FakeNvrtc nvrtc({.faults = {{FakeFaultKind::kSpills, {.config = {{"block_m", 32}}}}}});
  const absl::StatusOr<Cubin> spilling = Compile(nvrtc.api(), SmallSource(32), "sm_90a");
  const absl::StatusOr<Cubin> other = Compile(nvrtc.api(), SmallSource(64), "sm_90a");
  ASSERT_TRUE(spilling.ok() && other.ok());
  EXPECT_GT(spilling->facts.spill_bytes, 0);
  EXPECT_EQ(other->facts.spill_bytes, 0);
}

TEST(Compiler, NvrtcVersionIsMajorDotMinor) {
  const FakeNvrtc nvrtc({.nvrtc_major = 12, .nvrtc_minor = 9});
  EXPECT_EQ(NvrtcVersionText(nvrtc.api()), "12.9");
}

}  // namespace
}  // namespace moetune
