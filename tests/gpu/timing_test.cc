// What a final takes beside the cold time: that counting the SM clock leaves a sample as it is, and
// that launches back to back find a warm L2.
#include "runtime/clock_probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "runtime/nvml.h"
#include "runtime/read_probe.h"
#include "tests/gpu/gpu_test.h"
#include "tuner/statistics.h"
#include "tuner/timer.h"

namespace moetune {
namespace {

constexpr int kSamples = 101;  // of each, in turn: drift is the same for both

class TimingTest : public GpuTest {};

TEST_F(TimingTest, ASampleIsTheSameWithTheProbeAndWithout) {
  const NvrtcApi& nvrtc = *OpenNvrtc().value();
  const std::string arch = ArchName(context_->device().compute_capability);
  const ReadProbe reader = ReadProbe::Load(*context_, nvrtc).value();
  const ClockProbe clock =
      ClockProbe::Load(*context_, Compile(nvrtc, ClockProbeSource(), arch).value()).value();
  Timer timer = Timer::Create(*context_, stream_->get(), {}).value();
  const Buffer buffer = Buffer::Allocate(*driver_, size_t{1} << 30).value();
  for (const int64_t bytes : {int64_t{0}, int64_t{1} << 24, int64_t{1} << 30}) {
    const Enqueue launch = [&] { return reader.Launch(buffer, bytes, stream_->get()); };
    std::vector<double> without, with, mhz;
    for (int i = 0; i < kSamples; ++i) {
      without.push_back(timer.Sample(launch).value());
      with.push_back(timer.Sample(launch, &clock).value());
      mhz.push_back(timer.SmClock(clock).value());
    }
    const double plain_us = Median(without);
    const double clocked_us = Median(with);
    const int sm_mhz = ReadClocks(0).sm_mhz;
    std::cout << absl::StrFormat(
        "%d bytes: %.3f µs without, %.3f µs with the probe; SMs at %.0f MHz +- %.0f, %d by NVML\n",
        bytes, plain_us, clocked_us, Median(mhz), MedianAbsoluteDeviation(mhz), sm_mhz);
    EXPECT_NEAR(clocked_us, plain_us, std::max(0.01 * plain_us, 0.2));
    EXPECT_GT(Median(mhz), 300);
    EXPECT_LT(Median(mhz), 4000);
  }
}

TEST_F(TimingTest, WhatFitsTheL2IsFasterBackToBack) {
  const NvrtcApi& nvrtc = *OpenNvrtc().value();
  const ReadProbe reader = ReadProbe::Load(*context_, nvrtc).value();
  Timer timer = Timer::Create(*context_, stream_->get(), {}).value();
  const Buffer buffer = Buffer::Allocate(*driver_, size_t{1} << 24).value();
  const auto bytes = static_cast<int64_t>(buffer.bytes());
  ASSERT_LT(bytes, context_->device().l2_bytes) << "a buffer that fits";
  const Enqueue launch = [&] { return reader.Launch(buffer, bytes, stream_->get()); };
  std::vector<double> cold, hot;
  for (int i = 0; i < kSamples; ++i) {
    cold.push_back(timer.Sample(launch).value());
    hot.push_back(timer.SampleHot(launch, timer.policy().hot_launches).value());
  }
  std::cout << absl::StrFormat("16 MiB: %.3f µs cold, %.3f µs back to back\n", Median(cold),
                               Median(hot));
  EXPECT_LT(Median(hot), Median(cold));
}

}  // namespace
}  // namespace moetune
