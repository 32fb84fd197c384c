#include "kernels/device/divisor.cuh"

#include <random>

#include "gtest/gtest.h"

namespace moetune {
namespace {

TEST(Divisor, DividesAsTheDivisionDoes) {
  std::mt19937 random(1);
  std::uniform_int_distribution<unsigned> number(0, kMostDivided - 1);
  for (int i = 0; i < 200'000; ++i) {
    const unsigned by = i < 1000 ? i + 1u : (number(random) >> i % 30) + 1;
    const Divisor divisor = MakeDivisor(by);
    // Where a quotient begins and ends, and anywhere.
    const unsigned multiple = number(random) / by * by;
    for (const unsigned n :
         {0u, by - 1, multiple, multiple + by - 1, number(random), kMostDivided - 1}) {
      if (n < kMostDivided) {
        ASSERT_EQ(Divide(n, divisor), n / by) << n << " / " << by;
      }
    }
  }
}

TEST(Divisor, TakesEveryTopKThatAProblemMayHave) {
  for (const unsigned by : {1u, kMostDivided - 1, kMostDivided}) {
    const Divisor divisor = MakeDivisor(by);
    for (const unsigned n : {0u, 1u, kMostDivided - 2, kMostDivided - 1}) {
      EXPECT_EQ(Divide(n, divisor), n / by) << n << " / " << by;
    }
  }
}

}  // namespace
}  // namespace moetune
