#include "kernels/device/rows.cuh"

#include <set>
#include <utility>

#include "gtest/gtest.h"
#include "kernels/device/combine.cuh"

namespace moetune {
namespace {

template <int GRANULE>
void ExpectEveryColumnOfGateAndOfUpOnce(int rows) {
  std::set<std::pair<int, bool>> covered;
  for (int row = 0; row < rows; ++row) {
    covered.emplace(PairedColumn<GRANULE>(row), IsUp<GRANULE>(row));
    if (IsUp<GRANULE>(row)) continue;
    // Its partner lies a granule on, where a thread or lane that holds the one has the other.
    EXPECT_TRUE(IsUp<GRANULE>(row + GRANULE));
    EXPECT_EQ(PairedColumn<GRANULE>(row), PairedColumn<GRANULE>(row + GRANULE));
  }
  EXPECT_EQ(covered.size(), static_cast<size_t>(rows));
  EXPECT_EQ(covered.rbegin()->first, rows / 2 - 1);
}

TEST(Swiglu, ATileHasEveryColumnOfGateAndOfUpOnce) {
  for (const int rows : {32, 64, 128, 256}) {
    ExpectEveryColumnOfGateAndOfUpOnce<2>(rows);
    ExpectEveryColumnOfGateAndOfUpOnce<8>(rows);
  }
}

TEST(Combine, AThreadForEachVectorAndNoMoreCtasThanAGridHolds) {
  EXPECT_EQ(CombineCtas(0, 4096), 0);
  EXPECT_EQ(CombineCtas(1, 1), 1);
  EXPECT_EQ(CombineCtas(1, 8 * kCombineThreads), 1);
  EXPECT_EQ(CombineCtas(1, 8 * kCombineThreads + 1), 2);
  EXPECT_EQ(CombineCtas(kCombineThreads, 16), 2);
  EXPECT_EQ(CombineCtas(1 << 30, 1 << 30), 1 << 30);
}

}  // namespace
}  // namespace moetune
