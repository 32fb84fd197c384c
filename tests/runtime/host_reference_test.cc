#include "tests/testing/host_reference.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace moetune {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The compiler's own half type is the judge.
uint16_t CompilerFp16(float value) { return std::bit_cast<uint16_t>(static_cast<_Float16>(value)); }

TEST(Fp16, EveryValueIsReadAsTheCompilerReadsIt) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const auto expected = static_cast<float>(std::bit_cast<_Float16>(half));
    const float actual = FloatFromFp16(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(actual)) << bits;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected)) << bits;
    }
  }
}

TEST(Fp16, RoundsToNearestEvenAsTheCompilerDoes) {
  // Every midpoint between neighbours, where ties are, and a step to both sides.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = FloatFromFp16(static_cast<uint16_t>(bits));
    const float high = FloatFromFp16(static_cast<uint16_t>(bits + 1));
    const float middle = (low + high) / 2;
    for (const float value :
         {low, middle, std::nextafter(middle, low), std::nextafter(middle, high)}) {
      ASSERT_EQ(Fp16FromFloat(value), CompilerFp16(value)) << value;
      ASSERT_EQ(Fp16FromFloat(-value), CompilerFp16(-value)) << -value;
    }
  }
  for (const float value : {65504.0f, 65519.99f, 65520.0f, 1e10f, kInfinity, 1e-30f}) {
    EXPECT_EQ(Fp16FromFloat(value), CompilerFp16(value)) << value;
  }
  EXPECT_TRUE(std::isnan(FloatFromFp16(Fp16FromFloat(std::nanf("")))));
}

TEST(Bf16, RoundsToNearestEven) {
  const auto rounded = [](uint32_t bits) { return Bf16FromFloat(std::bit_cast<float>(bits)); };
  EXPECT_EQ(rounded(0x3f800000), 0x3f80);
  EXPECT_EQ(rounded(0x3f807fff), 0x3f80);
  EXPECT_EQ(rounded(0x3f808000), 0x3f80);  // a tie, to even below
  EXPECT_EQ(rounded(0x3f808001), 0x3f81);
  EXPECT_EQ(rounded(0x3f818000), 0x3f82);  // a tie, to even above
  EXPECT_EQ(rounded(0x7f7fffff), 0x7f80);  // past the largest: infinity
  EXPECT_EQ(rounded(0xff800000), 0xff80);
  EXPECT_TRUE(std::isnan(FloatFromBf16(rounded(0x7f800001))));  // stays a NaN without its low bits
}

TEST(Bf16, EveryValueComesBackFromFloat) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = FloatFromBf16(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(Bf16FromFloat(value), bits);
  }
}

// Two experts of one and two rows, three columns of k, two of n; all values exact in bf16.
class HostForwardTest : public testing::Test {
 protected:
  HostForwardTest() {
    const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const float w[] = {1, 0, 0, 0, 1, 1, 2, 0, 1, 0, 0, -1};
    for (int i = 0; i < 9; ++i) WriteElement(x_, Dtype::kBf16, i, x[i]);
    for (int i = 0; i < 12; ++i) WriteElement(w_, Dtype::kBf16, i, w[i]);
    std::memset(y_, 0xff, sizeof(y_));
  }

  void Run(Fusions fusions) {
    kind_.fusions = fusions;
    HostForward(kind_, {}, args_);
  }
  float Y(int row, int n) const { return ReadElement(y_, Dtype::kBf16, 2 * row + n); }

  Shape kind_ = {.dtype = Dtype::kBf16, .output = Dtype::kBf16};
  uint16_t x_[9], w_[12], y_[16];
  int32_t counts_[2] = {1, 2};
  int32_t index_[3] = {3, 0, 2};
  float scale_[8] = {0.5f, 1, 2, -1, 1, 1, 1, 1};
  MoeArgs args_ = {.x = x_,
                   .w = w_,
                   .y = y_,
                   .row_counts = counts_,
                   .row_index = index_,
                   .scale = scale_,
                   .tokens = 4,
                   .rows = 3,
                   .experts = 2,
                   .top_k = 2,
                   .n = 2,
                   .k = 3};
};

TEST_F(HostForwardTest, PlainMultipliesEachRowWithItsExpert) {
  Run(0);
  EXPECT_EQ(Y(0, 0), 1);
  EXPECT_EQ(Y(0, 1), 5);
  EXPECT_EQ(Y(1, 0), 14);
  EXPECT_EQ(Y(1, 1), -6);
  EXPECT_EQ(Y(2, 0), 23);
  EXPECT_EQ(Y(2, 1), -9);
  EXPECT_TRUE(std::isnan(Y(3, 0)));
}

TEST_F(HostForwardTest, GatherReadsTheTokenOfTheSlot) {
  Run(kGather);
  EXPECT_EQ(Y(0, 0), 4);   // slot 3 is token 1
  EXPECT_EQ(Y(1, 0), 5);   // slot 0 is token 0
  EXPECT_EQ(Y(2, 0), 14);  // slot 2 is token 1
}

TEST_F(HostForwardTest, ScatterWritesToTheSlotAndScaleMultipliesThere) {
  Run(kScatter | kScale);
  EXPECT_EQ(Y(3, 1), -5);
  EXPECT_EQ(Y(0, 0), 7);
  EXPECT_EQ(Y(2, 1), -18);
  EXPECT_TRUE(std::isnan(Y(1, 0)));
}

TEST_F(HostForwardTest, SwigluHalvesTheColumnsAndPreactKeepsThem) {
  uint16_t preact[6];
  args_.preact = preact;
  Run(kSwiglu | kPreact);
  const auto rounded = [](double value) {
    return FloatFromBf16(Bf16FromFloat(static_cast<float>(value)));
  };
  EXPECT_EQ(ReadElement(y_, Dtype::kBf16, 0), rounded(1 / (1 + std::exp(-1.0)) * 5));
  EXPECT_EQ(ReadElement(y_, Dtype::kBf16, 1), rounded(14 / (1 + std::exp(-14.0)) * -6));
  EXPECT_TRUE(std::isnan(ReadElement(y_, Dtype::kBf16, 3))) << "there are three rows of one column";
  EXPECT_EQ(ReadElement(preact, Dtype::kBf16, 2), 14);
  EXPECT_EQ(ReadElement(preact, Dtype::kBf16, 3), -6);
  EXPECT_NEAR(ExactForward(kind_, {}, args_)[0], 5 / (1 + std::exp(-1.0)), 1e-12);
}

TEST_F(HostForwardTest, CombineSumsTheScaledSlotsOfAToken) {
  uint16_t workspace[16];
  std::memset(workspace, 0xff, sizeof(workspace));
  args_.workspace = workspace;
  for (int slot : {1, 4, 5, 6, 7}) scale_[slot] = 0;  // in no row
  Run(kCombine);
  HostCombine(kind_, {}, args_);
  const float expected[4][2] = {{7, -3}, {2 * 23 - 1, 2 * -9 - 5}, {0, 0}, {0, 0}};
  const std::vector<double> exact = ExactForward(kind_, {}, args_);
  ASSERT_EQ(exact.size(), 8u);
  for (int token = 0; token < 4; ++token) {
    for (int n = 0; n < 2; ++n) {
      EXPECT_EQ(Y(token, n), expected[token][n]) << token;
      EXPECT_EQ(exact[static_cast<size_t>(2 * token + n)], expected[token][n]) << token;
    }
  }
  EXPECT_TRUE(std::isnan(Y(4, 0)));
}

TEST_F(HostForwardTest, ExactForwardAgreesWhereNothingIsRounded) {
  Run(kScatter | kScale);
  const std::vector<double> exact = ExactForward(kind_, {}, args_);
  for (int row = 0; row < 8; ++row) {
    for (int n = 0; n < 2; ++n) {
      const double expected = exact[static_cast<size_t>(2 * row + n)];
      EXPECT_TRUE(std::isnan(expected) ? std::isnan(Y(row, n)) : expected == Y(row, n)) << row;
    }
  }
}

TEST_F(HostForwardTest, ScaleRoundsTheProductBeforeAndAfterTheWeight) {
  // 257 is no bf16: it rounds to 256, whose third rounds again.
  WriteElement(x_, Dtype::kBf16, 0, 256);
  WriteElement(x_, Dtype::kBf16, 1, 1);
  WriteElement(w_, Dtype::kBf16, 1, 1);
  scale_[3] = 1.0f / 3;
  Run(kScatter | kScale);
  EXPECT_EQ(Y(3, 0), FloatFromBf16(Bf16FromFloat(256 * (1.0f / 3))));
}

TEST(HostForward, SumsAreThoseOfFusedMultiplyAdds) {
  constexpr int kK = 500;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> x(kK), w(kK);
  float fused = 0, y = 0;
  for (int k = 0; k < kK; ++k) {
    x[static_cast<size_t>(k)] = Bf16FromFloat(normal(random));
    w[static_cast<size_t>(k)] = Bf16FromFloat(normal(random));
    fused = std::fmaf(FloatFromBf16(x[static_cast<size_t>(k)]),
                      FloatFromBf16(w[static_cast<size_t>(k)]), fused);
  }
  const int32_t count = 1;
  HostForward({.dtype = Dtype::kBf16, .output = Dtype::kFp32}, {},
              {.x = x.data(),
               .w = w.data(),
               .y = &y,
               .row_counts = &count,
               .row_index = nullptr,
               .scale = nullptr,
               .tokens = 1,
               .rows = 1,
               .experts = 1,
               .top_k = 1,
               .n = 1,
               .k = kK});
  EXPECT_EQ(std::bit_cast<uint32_t>(y), std::bit_cast<uint32_t>(fused));
}

}  // namespace
}  // namespace moetune
