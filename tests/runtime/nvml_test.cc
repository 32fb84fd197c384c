#include "runtime/nvml.h"

#include <gtest/gtest.h>

namespace moetune {
namespace {

TEST(Throttling, ItsTextNamesEachReason) {
  EXPECT_EQ(ThrottleText(0), "");
  EXPECT_EQ(ThrottleText(0x04), "power_cap");
  EXPECT_EQ(ThrottleText(0x68), "slowdown+hot+very_hot");
  EXPECT_EQ(ThrottleText(0x01 | 0x02), "") << "idling, and clocks that somebody set";
}

TEST(Nvml, WithoutTheDeviceEverythingIsUnknown) {
  EXPECT_EQ(ReadClocks(999), Clocks());
  EXPECT_EQ(ReadThrottling(999), 0u);
}

}  // namespace
}  // namespace moetune
