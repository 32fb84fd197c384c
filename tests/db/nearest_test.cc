#include "db/nearest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/testing/records.h"

namespace moetune {
namespace {

TEST(Nearest, LogDistanceIsSymmetricAndCountsDoublings) {
  EXPECT_DOUBLE_EQ(LogDistance(16, 64), 2);
  EXPECT_DOUBLE_EQ(LogDistance(64, 16), 2);
  EXPECT_EQ(LogDistance(7, 7), 0);
  EXPECT_EQ(LogDistance(3, 1'000'003), LogDistance(1'000'003, 3));
}

TEST(Nearest, LogDistanceHoldsBeyond32Bits) {
  EXPECT_DOUBLE_EQ(LogDistance(1, int64_t{1} << 40), 40);
}

TEST(Nearest, TheAxesOfAProblemAreNKExpertsAndRowsPerExpert) {
  const Problem base = ProblemOf("forward/bf16/plain/e64/t1024x8/n1024/k2048/softmax");
  EXPECT_EQ(ProblemDistance(base, base), 0);
  EXPECT_DOUBLE_EQ(
      ProblemDistance(base, ProblemOf("forward/bf16/plain/e64/t1024x8/n2048/k2048/softmax")), 1);
  EXPECT_DOUBLE_EQ(
      ProblemDistance(base, ProblemOf("forward/bf16/plain/e64/t1024x8/n1024/k512/softmax")), 2);
  EXPECT_DOUBLE_EQ(
      ProblemDistance(base, ProblemOf("forward/bf16/plain/e64/t4096x8/n1024/k2048/softmax")), 2);
  // Twice the experts and twice the rows: as many rows to each.
  EXPECT_DOUBLE_EQ(
      ProblemDistance(base, ProblemOf("forward/bf16/plain/e128/t2048x8/n1024/k2048/softmax")), 1);
  EXPECT_DOUBLE_EQ(
      ProblemDistance(base, ProblemOf("forward/bf16/plain/e64/t1024x8/n8192/k32768/softmax")), 5);
}

TEST(Nearest, RoutingAndTopKAreNoDistance) {
  const Problem base = ProblemOf("forward/bf16/plain/e64/t1024x8/n1024/k2048/softmax");
  EXPECT_EQ(ProblemDistance(base, ProblemOf("forward/bf16/plain/e64/t1024x8/n1024/k2048/zipf")), 0);
  EXPECT_EQ(ProblemDistance(base, ProblemOf("forward/bf16/plain/e64/t8192x1/n1024/k2048/softmax")),
            0);
}

TEST(Nearest, AnotherKernelIsInfinitelyFar) {
  const Problem base = ProblemOf("forward/bf16/plain/e64/t1024x8/n1024/k2048/softmax");
  for (const char* key : {"forward/fp16/plain/e64/t1024x8/n1024/k2048/softmax",
                          "forward/bf16-fp32/plain/e64/t1024x8/n1024/k2048/softmax",
                          "forward/bf16/gather/e64/t1024x8/n1024/k2048/softmax"}) {
    EXPECT_TRUE(std::isinf(ProblemDistance(base, ProblemOf(key)))) << key;
  }
}

TEST(Nearest, ShapeDistanceNeverExceedsProblemDistance) {
  const Problem a = ProblemOf("forward/bf16/plain/e64/t1024x8/n1024/k2048/softmax");
  const Problem b = ProblemOf("forward/bf16/plain/e16/t3x1/n768/k4096/softmax");
  EXPECT_LE(ShapeDistance(a.shape, b.shape), ProblemDistance(a, b));
}

TEST(Nearest, TheNearestOfAnAxisIsSoInLogSpace) {
  const std::vector<int64_t> axis = {16, 64, 1024};
  EXPECT_EQ(NearestLog(axis, 1), 0u);
  EXPECT_EQ(NearestLog(axis, 31), 0u);
  EXPECT_EQ(NearestLog(axis, 33), 1u);  // 40 is the middle on a linear axis, 32 in log space
  EXPECT_EQ(NearestLog(axis, 64), 1u);
  EXPECT_EQ(NearestLog(axis, 255), 1u);
  EXPECT_EQ(NearestLog(axis, 257), 2u);
  EXPECT_EQ(NearestLog(axis, 1'000'000), 2u);
}

TEST(Nearest, OfTwoEquallyNearTheLargerIsTaken) {
  const std::vector<int64_t> axis = {16, 64};
  EXPECT_EQ(NearestLog(axis, 32), 1u);
  const std::vector<int64_t> odd = {9, 25};
  EXPECT_EQ(NearestLog(odd, 15), 1u);
}

}  // namespace
}  // namespace moetune
