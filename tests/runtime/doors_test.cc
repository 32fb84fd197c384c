// The doors to libcuda, libnvrtc and libnvidia-ml, on whatever machine this runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "runtime/compiler.h"
#include "runtime/driver.h"
#include "runtime/nvml.h"
#include "runtime/nvrtc.h"

namespace moetune {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

TEST(Driver, OpensOrSaysWhichThingIsMissing) {
  const absl::StatusOr<const DriverApi*> driver = OpenDriver();
  if (driver.ok()) {
    int count = 0;
    EXPECT_EQ((*driver)->device_count(&count), 0);
    EXPECT_GT(count, 0);
    return;
  }
  EXPECT_EQ(driver.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(driver.status().ToString(),
              AnyOf(HasSubstr("built without CUDA headers"), HasSubstr("no NVIDIA driver"),
                    HasSubstr("no CUDA device"), HasSubstr("does not start")));
}

TEST(Nvml, WhatIsUnknownIsZeroAndNeverAnError) {
  const Clocks clocks = ReadClocks(1000);
  EXPECT_EQ(clocks, Clocks{});
  if (!OpenDriver().ok()) {
    EXPECT_EQ(ReadClocks(0), Clocks{});
  }
}

class Nvrtc : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<const NvrtcApi*> api = OpenNvrtc();
    if (!api.ok()) GTEST_SKIP() << api.status();
    api_ = *api;
  }

  NvrtcResult CompileText(std::string_view text, std::vector<std::string> options = {}) {
    const std::array files = {EmbeddedFile{"a/main.cuh", text},
                              EmbeddedFile{"b/value.h", "constexpr int kValue = 3;\n"}};
    options.push_back("--gpu-architecture=sm_80");
    options.push_back("--ptxas-options=-v");
    return api_->compile("a/main.cuh", files, options);
  }

  const NvrtcApi* api_ = nullptr;
};

TEST_F(Nvrtc, CompilesAFileWithIncludesRootedAtTheRepository) {
  const NvrtcResult result = CompileText(
      "#include \"b/value.h\"\n"
      "extern \"C\" __global__ void moe_kernel(int* y) { y[threadIdx.x] = kValue; }\n");
  ASSERT_TRUE(result.ok) << result.log;
  EXPECT_TRUE(
      result.cubin.starts_with("\x7f"
                               "ELF"));
  EXPECT_GT(ParseCompilerLog(result.log).registers, 0);
  EXPECT_EQ(result.log.find('\0'), std::string::npos);
}

TEST_F(Nvrtc, AnErrorNamesTheFileAndTheLine) {
  const NvrtcResult result =
      CompileText("\nextern \"C\" __global__ void moe_kernel() { x = 1; }\n");
  EXPECT_FALSE(result.ok);
  EXPECT_THAT(result.log, HasSubstr("a/main.cuh(2): error"));
}

TEST_F(Nvrtc, AnUnknownOptionIsAnErrorWithALog) {
  const NvrtcResult result =
      CompileText("extern \"C\" __global__ void moe_kernel() {}\n", {"--no-such-option"});
  EXPECT_FALSE(result.ok);
  EXPECT_THAT(result.log, HasSubstr("no-such-option"));
}

TEST_F(Nvrtc, AMissingFileIsAnErrorThatNamesIt) {
  const NvrtcResult result = api_->compile("a/absent.cuh", {}, {});
  EXPECT_FALSE(result.ok);
  EXPECT_THAT(result.log, HasSubstr("a/absent.cuh"));
}

TEST_F(Nvrtc, RealSpillsAreReadFromItsLog) {
  const NvrtcResult result = CompileText(
      "extern \"C\" __global__ void __launch_bounds__(1024) moe_kernel(float* y, int n) {\n"
      "  float a[128];\n"
      "#pragma unroll\n"
      "  for (int i = 0; i < 128; i++) a[i] = y[i * n + threadIdx.x];\n"
      "  for (int r = 0; r < n; r++) {\n"
      "#pragma unroll\n"
      "    for (int i = 0; i < 128; i++) a[i] = a[i] * a[(i + 37) % 128] + y[r];\n"
      "  }\n"
      "#pragma unroll\n"
      "  for (int i = 0; i < 128; i++) y[i * n + threadIdx.x] = a[i];\n"
      "}\n");
  ASSERT_TRUE(result.ok) << result.log;
  const KernelFacts facts = ParseCompilerLog(result.log);
  EXPECT_GT(facts.spill_bytes, 0) << result.log;
  EXPECT_GT(facts.stack_bytes, 0) << result.log;
}

}  // namespace
}  // namespace moetune
