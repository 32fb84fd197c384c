#include "runtime/read_probe.h"

#include <gtest/gtest.h>

#include "kernels/registry.h"
#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

TEST(ReadProbe, CompilesForEveryArchitectureIntoRegisters) {
  const auto nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) GTEST_SKIP() << nvrtc.status().message();
  for (const char* arch : {"sm_75", "sm_80", "sm_90a", "sm_100a", "sm_120a"}) {
    const auto cubin = Compile(**nvrtc, ReadProbeSource(), arch);
    ASSERT_TRUE(cubin.ok()) << cubin.status();
    EXPECT_EQ(cubin->facts.spill_bytes + cubin->facts.stack_bytes, 0) << arch;
    EXPECT_LE(cubin->facts.registers, 64) << arch << ": two CTAs of 512 threads on an SM";
  }
}

TEST(ReadProbe, ACompilerThatRefusesItIsAnError) {
  const FakeGpu gpu;  // whose compiler knows families alone
  const auto probe = ReadProbe::Load(gpu.context, gpu.nvrtc.api());
  EXPECT_TRUE(absl::IsInvalidArgument(probe.status())) << probe.status();
}

TEST(ReadProbe, IsPartOfNoFamily) {
  for (const Family* family : Families()) {
    std::vector<EmbeddedFile> files(EmbeddedFiles().begin(), EmbeddedFiles().end());
    const std::string before = FamilyFingerprint(*family, files);
    for (EmbeddedFile& file : files) {
      if (file.path == ReadProbeSource().path) file.text = "changed";
    }
    EXPECT_EQ(FamilyFingerprint(*family, files), before);
  }
}

}  // namespace
}  // namespace moetune
