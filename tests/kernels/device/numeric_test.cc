#include "kernels/device/numeric.cuh"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace moetune {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What a binary floating point format is, said without bits.
struct Format {
  int precision;     // significant bits, the implicit one counted
  int exponent_min;  // of the smallest normal value, 2^exponent_min
  int exponent_max;
};
template <typename T>
constexpr Format kFormat = {};
template <>
constexpr Format kFormat<bf16> = {8, -126, 127};
template <>
constexpr Format kFormat<fp16> = {11, -14, 15};

// The value of a bit pattern, from its fields.
double Decode(const Format& format, unsigned bits) {
  const unsigned fraction = bits & ((1u << (format.precision - 1)) - 1);
  const int exponent = static_cast<int>((bits & 0x7fff) >> (format.precision - 1));
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 2 * format.exponent_max + 1) return sign * (fraction == 0 ? kInfinity : NAN);
  const double implicit = exponent == 0 ? 0 : std::ldexp(1.0, format.precision - 1);
  return sign * std::ldexp(implicit + fraction,
                           std::max(exponent, 1) - format.exponent_max - format.precision + 1);
}

// The nearest value of the format, ties to even, by arithmetic in double.
double Round(const Format& format, double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), format.exponent_min);
  const double unit = std::ldexp(1.0, exponent - format.precision + 1);
  const double rounded = std::nearbyint(value / unit) * unit;
  const double too_large = std::ldexp(1.0, format.exponent_max + 1);
  return std::fabs(rounded) >= too_large ? std::copysign(kInfinity, value) : rounded;
}

template <typename T>
class NumericTest : public testing::Test {
 protected:
  static constexpr unsigned kInfinityBits = static_cast<unsigned>(2 * kFormat<T>.exponent_max + 1)
                                            << (kFormat<T>.precision - 1);

  static float Value(unsigned bits) { return ToFloat(T{static_cast<unsigned short>(bits)}); }
  static unsigned Bits(float value) { return FromFloat<T>(value).bits; }
};
using StorageTypes = testing::Types<bf16, fp16>;
TYPED_TEST_SUITE(NumericTest, StorageTypes);

TYPED_TEST(NumericTest, EveryBitPatternHasTheValueOfItsFields) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const double expected = Decode(kFormat<TypeParam>, bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(this->Value(bits))) << bits;
    } else {
      ASSERT_EQ(this->Value(bits), expected) << bits;
      ASSERT_EQ(std::signbit(this->Value(bits)), bits >= 0x8000) << bits;
    }
  }
}

TYPED_TEST(NumericTest, EveryBitPatternSurvivesTheRoundTrip) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const float value = this->Value(bits);
    if (std::isnan(value)) continue;
    ASSERT_EQ(this->Bits(value), bits);
  }
}

TYPED_TEST(NumericTest, NanStaysNanOfItsSign) {
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0x7f801000u}) {
    for (const uint32_t sign : {0u, 0x80000000u}) {
      const unsigned rounded = this->Bits(FloatFromBits(bits | sign));
      EXPECT_TRUE(std::isnan(this->Value(rounded))) << bits;
      EXPECT_EQ(rounded >> 15, sign >> 31) << bits;
    }
  }
}

TYPED_TEST(NumericTest, TiesGoToEvenAndAnythingElseToTheNearest) {
  for (unsigned bits = 0; bits + 1 < this->kInfinityBits; ++bits) {
    const float low = this->Value(bits);
    const float tie = low + (this->Value(bits + 1) - low) / 2;  // exact in fp32
    const unsigned even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(this->Bits(tie), even);
    ASSERT_EQ(this->Bits(std::nextafter(tie, 0.0f)), bits);
    ASSERT_EQ(this->Bits(std::nextafter(tie, kInfinity)), bits + 1);
    ASSERT_EQ(this->Bits(-tie), even | 0x8000);
  }
}

TYPED_TEST(NumericTest, OverflowsFromHalfAStepPastTheLargestValue) {
  const float largest = this->Value(this->kInfinityBits - 1);
  const float below = this->Value(this->kInfinityBits - 2);
  const float limit = largest + (largest - below) / 2;  // the tie whose even side is infinity
  EXPECT_EQ(this->Bits(std::nextafter(limit, 0.0f)), this->kInfinityBits - 1);
  for (const float value : {limit, std::numeric_limits<float>::max(), kInfinity}) {
    EXPECT_EQ(this->Bits(value), this->kInfinityBits);
    EXPECT_EQ(this->Bits(-value), this->kInfinityBits | 0x8000);
  }
}

TYPED_TEST(NumericTest, RandomFloatsRoundAsArithmeticSays) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const float value = FloatFromBits(random());
    if (std::isnan(value)) continue;
    const double expected = Round(kFormat<TypeParam>, value);
    ASSERT_EQ(this->Value(this->Bits(value)), expected) << value;
    ASSERT_EQ(std::signbit(this->Value(this->Bits(value))), std::signbit(value)) << value;
  }
}

TEST(Numeric, Fp32IsKeptAsItIs) {
  std::mt19937 random(2);
  for (int i = 0; i < 1000; ++i) {
    const uint32_t bits = random();
    EXPECT_EQ(FloatBits(FromFloat<fp32>(ToFloat(FloatFromBits(bits)))), bits);
  }
}

}  // namespace
}  // namespace moetune
