#include "runtime/clock_probe.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/registry.h"
#include "runtime/nvrtc.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/fake_machine.h"

namespace moetune {
namespace {

TEST(ClockProbe, CompilesForEveryArchitectureIntoRegisters) {
  const auto nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) GTEST_SKIP() << nvrtc.status().message();
  for (const char* arch : {"sm_75", "sm_80", "sm_90a", "sm_100a", "sm_120a"}) {
    const auto cubin = Compile(**nvrtc, ClockProbeSource(), arch);
    ASSERT_TRUE(cubin.ok()) << cubin.status();
    EXPECT_EQ(cubin->facts.spill_bytes + cubin->facts.stack_bytes, 0) << arch;
  }
}

TEST(ClockProbe, IsPartOfNoFamily) {
  for (const Family* family : Families()) {
    std::vector<EmbeddedFile> files(EmbeddedFiles().begin(), EmbeddedFiles().end());
    const std::string before = FamilyFingerprint(*family, files);
    for (EmbeddedFile& file : files) {
      if (file.path == ClockProbeSource().path) file.text = "changed";
    }
    EXPECT_EQ(FamilyFingerprint(*family, files), before);
  }
}

// Cycles per microsecond are MHz.
TEST(SmClock, IsTheMedianOverTheSmsThatStandInBothReadings) {
  const std::vector<ClockReading> before = {
      {100, 1000, 7}, {500, 1000, 9}, {0, 1000, 11}, {0, 1000, 13}};
  const std::vector<ClockReading> after = {
      {3500, 3000, 9}, {3600, 3000, 11}, {3100, 3000, 7}, {9999999, 3000, 2}};
  EXPECT_DOUBLE_EQ(SmClockMhz(before, after), 1500);
}

TEST(SmClock, IsUnknownWithoutACommonSmOrTime) {
  const std::vector<ClockReading> before = {{100, 1000, 7}};
  EXPECT_EQ(SmClockMhz(before, std::vector<ClockReading>{{200, 2000, 8}}), 0);
  EXPECT_EQ(SmClockMhz(before, std::vector<ClockReading>{{200, 1000, 7}}), 0);
  EXPECT_EQ(SmClockMhz({}, {}), 0);
}

TEST(ClockProbe, TellsTheClockBetweenItsReadings) {
  FakeGpu gpu;
  const Cubin cubin = Compile(gpu.nvrtc.api(), ClockProbeSource(), "sm_90a").value();
  ClockProbe probe = ClockProbe::Load(gpu.context, cubin).value();
  const Stream stream = Stream::Create(gpu.driver).value();
  const Buffer buffer = Buffer::Allocate(gpu.driver, 1 << 20).value();
  ASSERT_TRUE(probe.Begin(stream.get()).ok());
  EXPECT_EQ(gpu.driver.fill(buffer.address(), 0, buffer.bytes(), stream.get()), 0);
  ASSERT_TRUE(probe.End(stream.get()).ok());
  const absl::StatusOr<double> mhz = probe.SmClock(stream.get());
  ASSERT_TRUE(mhz.ok()) << mhz.status();
  EXPECT_NEAR(*mhz / fake_cuda::kSmClockMhz, 1, 0.01);
}

TEST(ClockProbe, ACubinThatIsNoneOfThisDeviceIsAnError) {
  const FakeGpu gpu;
  const absl::Status status = ClockProbe::Load(gpu.context, {.image = "nonsense"}).status();
  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace moetune
