#include "tuner/device_rates.h"

#include <gtest/gtest.h>

#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

constexpr Policy kPolicy = {.flush_bytes = 4096, .flush_l2_times = 0};

TEST(MeasureRates, AreThoseOfTheCardAndNotThoseKnownOfTheModel) {
  const FakeGpu gpu;
  const auto rates = MeasureRates(gpu.context, nullptr, kPolicy, 1 << 20);
  ASSERT_TRUE(rates.ok()) << rates.status();
  EXPECT_NEAR(rates->write_gbps, Fiction100().write_gbps, 1);
  EXPECT_NEAR(rates->copy_gbps, Fiction100().copy_gbps, 1);
}

TEST(MeasureRates, WithoutACompilerWhatNeedsAKernelIsNotMeasured) {
  const FakeGpu gpu;
  const auto rates = MeasureRates(gpu.context, nullptr, kPolicy, 1 << 20);
  ASSERT_TRUE(rates.ok()) << rates.status();
  EXPECT_EQ(rates->read_gbps, 0);
  EXPECT_EQ(rates->launch_us, 0);
  EXPECT_TRUE(gpu.cuda.launches().empty());
}

TEST(MeasureRates, ASmallCardGivesAnEighthOfItsMemory) {
  DeviceSpec small = Fiction100();
  small.memory_bytes = 1 << 22;
  const FakeGpu gpu({.devices = {small}});
  EXPECT_TRUE(MeasureRates(gpu.context, nullptr, kPolicy).ok());
}

}  // namespace
}  // namespace moetune
