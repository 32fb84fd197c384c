// That a GPU finds one byte that differs, wherever it lies, and how fast it compares.
#include "runtime/comparison.h"

#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/gpu/gpu_test.h"

namespace moetune {
namespace {

class ComparisonTest : public GpuTest {};

TEST_F(ComparisonTest, FindsOneByteThatDiffersAtAnyPlace) {
  const std::string arch = ArchName(context_->device().compute_capability);
  const Cubin cubin = Compile(*OpenNvrtc().value(), CompareSource(), arch).value();
  const Comparison comparison = Comparison::Load(*context_, cubin).value();
  constexpr size_t kBytes = (size_t{402} << 20) + 7;
  const Buffer left = Buffer::Allocate(*driver_, kBytes).value();
  const Buffer right = Buffer::Allocate(*driver_, kBytes).value();
  for (const Buffer* buffer : {&left, &right}) {
    ASSERT_EQ(driver_->fill(buffer->address(), 0x5A, kBytes, stream_->get()), 0);
  }
  const auto equal = [&](size_t bytes) {
    return comparison
        .Equal(left.address(), right.address(), static_cast<int64_t>(bytes), stream_->get())
        .value();
  };
  std::mt19937_64 random(Seed());
  for (const size_t bytes : {size_t{1}, size_t{17}, size_t{1} << 20, kBytes}) {
    ASSERT_TRUE(equal(bytes)) << bytes;
    std::vector<size_t> places = {0, bytes / 2, bytes - 1};
    for (int i = 0; i < 100; ++i) places.push_back(random() % bytes);
    for (const size_t place : places) {
      ASSERT_EQ(driver_->fill(right.address() + place, 0x5B, 1, stream_->get()), 0);
      EXPECT_FALSE(equal(bytes)) << place << " of " << bytes;
      ASSERT_EQ(driver_->fill(right.address() + place, 0x5A, 1, stream_->get()), 0);
    }
  }
  constexpr int kRuns = 20;
  const absl::Time start = absl::Now();
  for (int i = 0; i < kRuns; ++i) ASSERT_TRUE(equal(kBytes));
  const double us = absl::ToDoubleMicroseconds(absl::Now() - start) / kRuns;
  std::cout << absl::StrFormat("%d bytes compared in %.0f µs: %.0f GB/s read\n", kBytes, us,
                               2e-3 * static_cast<double>(kBytes) / us);
}

}  // namespace
}  // namespace moetune
