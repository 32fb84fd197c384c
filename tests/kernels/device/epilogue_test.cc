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

// 1 + 2^-8 would become 1 in bf16; silu of 40 is 40 in fp32.
TEST(Epilogue, SwigluRoundsOnlyItsResult) {
  EXPECT_EQ(FinishSwiglu<fp32>(40.0f, 1.00390625f), 40.15625f);
  EXPECT_EQ(ToFloat(FinishSwiglu<bf16>(40.0f, 1.00390625f)), 40.25f);
  EXPECT_EQ(FinishSwiglu<bf16>(0.0f, 3.0f).bits, 0);
}

TEST(Epilogue, SwigluIsGateTimesItsLogisticTimesUp) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-30, 30);
  for (int i = 0; i < 10000; ++i) {
    const float gate = uniform(random);
    const float up = uniform(random);
    const double exact = double{gate} / (1 + std::exp(-double{gate})) * double{up};
    EXPECT_NEAR(FinishSwiglu<fp32>(gate, up), exact, 1e-6 * std::abs(exact));
  }
  EXPECT_EQ(FinishSwiglu<fp32>(-1000.0f, 2.0f), 0.0f) << "where the exponential is infinite";
}

}  // namespace
}  // namespace moetune
