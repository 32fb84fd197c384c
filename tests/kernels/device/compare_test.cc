#include <gtest/gtest.h>

#include <vector>

#include "tests/testing/cuda_emulator.h"

#define EMULATED emulated_compare
#define DEVICE_TEXT "kernels/device/compare.cuh"
#include "tests/testing/emulated_kernel.inc"
#undef DEVICE_TEXT
#undef EMULATED

namespace moetune {
namespace {

bool Differ(const std::vector<uint8_t>& left, const std::vector<uint8_t>& right) {
  unsigned differ = 0;
  const emulated_compare::CompareArgs args = {left.data(), right.data(), left.size(), &differ};
  const absl::Status status = cuda_emulator::Launch(
      {.grid = {3, 1, 1}, .threads = 32}, [&] { emulated_compare::emulated_compare_kernel(args); });
  EXPECT_TRUE(status.ok()) << status;
  return differ != 0;
}

// 96 threads: from none of them to two rounds of four for each, and some of a third, and bytes
// beyond the last 16.
TEST(Compare, FindsOneBitAtEveryPlace) {
  for (const size_t bytes : {0, 1, 16, 31, 1536, 6144, 6161, 12 * 1024 + 1, 14000}) {
    std::vector<uint8_t> left(bytes);
    for (size_t i = 0; i < bytes; ++i) left[i] = static_cast<uint8_t>(i * 131 >> 3);
    std::vector<uint8_t> right = left;
    EXPECT_FALSE(Differ(left, right)) << bytes;
    const size_t step = bytes < 100 ? 1 : 97;  // a prime: every place in a vector comes up
    for (size_t place = 0; place < bytes; place += step) {
      right[place] ^= static_cast<uint8_t>(1 << place % 8);
      EXPECT_TRUE(Differ(left, right)) << place << " of " << bytes;
      right[place] = left[place];
    }
    if (bytes == 0) continue;
    right.back() ^= 1;
    EXPECT_TRUE(Differ(left, right)) << bytes;
  }
}

}  // namespace
}  // namespace moetune
