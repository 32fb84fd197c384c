#include "runtime/comparison.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/registry.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/fake_machine.h"

namespace moetune {
namespace {

TEST(Comparison, CompilesForEveryArchitectureIntoRegisters) {
  const auto nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) GTEST_SKIP() << nvrtc.status().message();
  for (const char* arch : {"sm_75", "sm_80", "sm_90a", "sm_100a", "sm_120a"}) {
    const auto cubin = Compile(**nvrtc, CompareSource(), arch);
    ASSERT_TRUE(cubin.ok()) << cubin.status();
    EXPECT_EQ(cubin->facts.spill_bytes + cubin->facts.stack_bytes, 0) << arch;
    EXPECT_LE(cubin->facts.registers, 64) << arch << ": two CTAs of 512 threads on an SM";
  }
}

TEST(Comparison, IsPartOfNoFamily) {
  for (const Family* family : Families()) {
    std::vector<EmbeddedFile> files(EmbeddedFiles().begin(), EmbeddedFiles().end());
    const std::string before = FamilyFingerprint(*family, files);
    for (EmbeddedFile& file : files) {
      if (file.path == CompareSource().path) file.text = "changed";
    }
    EXPECT_EQ(FamilyFingerprint(*family, files), before);
  }
}

// Each answer is that of its own spans, and costs a word.
TEST(Comparison, TellsEqualSpansFromOthersTimeAndAgain) {
  FakeGpu gpu;
  const Cubin cubin = Compile(gpu.nvrtc.api(), CompareSource(), "sm_90a").value();
  const Comparison comparison = Comparison::Load(gpu.context, cubin).value();
  const Stream stream = Stream::Create(gpu.driver).value();
  const Buffer left = Buffer::Allocate(gpu.driver, 100).value();
  const Buffer right = Buffer::Allocate(gpu.driver, 100).value();
  std::vector<uint8_t> bytes(100, 7);
  ASSERT_EQ(gpu.driver.copy_to_device(left.address(), bytes.data(), 100), 0);
  bytes[90] = 8;
  ASSERT_EQ(gpu.driver.copy_to_device(right.address(), bytes.data(), 100), 0);
  const auto equal = [&](int64_t count) {
    return comparison.Equal(left.address(), right.address(), count, stream.get()).value();
  };
  EXPECT_TRUE(equal(90));
  EXPECT_FALSE(equal(91));
  EXPECT_FALSE(equal(100));
  EXPECT_TRUE(equal(90));
  EXPECT_EQ(fake_cuda::machine->downloaded_bytes, 4 * sizeof(uint32_t));
}

TEST(Comparison, ACubinThatIsNoneOfThisDeviceIsAnError) {
  const FakeGpu gpu;
  EXPECT_FALSE(Comparison::Load(gpu.context, {.image = "nonsense"}).ok());
}

}  // namespace
}  // namespace moetune
