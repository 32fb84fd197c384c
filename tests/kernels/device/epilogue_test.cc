#include "kernels/device/epilogue.cuh"

#include <random>

#include "gtest/gtest.h"

namespace moetune {
namespace {

TEST(Epilogue, FinishRoundsOnce) {
  EXPECT_EQ(Finish<bf16>(1.0f).bits, 0x3f80);
  EXPECT_EQ(Finish<fp16>(1.0f).bits, 0x3c00);
  EXPECT_EQ(Finish<fp32>(1.0000001f), 1.0000001f);
}

// 1 + 2^-8 is a tie in bf16 and becomes 1; times 1.5 without that rounding it would be 1.5078125.
TEST(Epilogue, ScalingRoundsTheUnscaledProductFirst) {
  const float accumulator = 1.00390625f;
  EXPECT_EQ(ToFloat(FinishScaled<bf16>(accumulator, 1.5f)), 1.5f);
  EXPECT_EQ(ToFloat(FromFloat<bf16>(accumulator * 1.5f)), 1.5078125f);
}

TEST(Epilogue, ScalingIsTheProductOfTheStoredOutputAndTheWeight) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-100, 100);
  for (int i = 0; i < 10000; ++i) {
    const float accumulator = uniform(random);
    const float weight = uniform(random) / 100;
    const float stored = ToFloat(Finish<bf16>(accumulator));
    EXPECT_EQ(FinishScaled<bf16>(accumulator, weight).bits, FromFloat<bf16>(stored * weight).bits);
    EXPECT_EQ(FinishScaled<fp32>(accumulator, weight), accumulator * weight);
    // A weight of the operands' type counts as its value.
    const bf16 short_weight = FromFloat<bf16>(weight);
    EXPECT_EQ(FinishScaled<bf16>(accumulator, short_weight).bits,
              FinishScaled<bf16>(accumulator, ToFloat(short_weight)).bits);
  }
}

}  // namespace
}  // namespace moetune
