#include "tuner/element.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/testing/host_reference.h"

namespace moetune {
namespace {

class ElementTest : public ::testing::TestWithParam<Dtype> {};

TEST_P(ElementTest, IsReadAndRoundedAsTheReferenceDoes) {
  for (float value : {0.0f, 1.0f, -1.5f, 0.1f, 3.14159f, 65519.0f, 1e-7f, -2e-5f, 1e9f}) {
    uint8_t bytes[4] = {}, expected[4] = {};
    StoreElement(GetParam(), bytes, 0, value);
    WriteElement(expected, GetParam(), 0, value);
    EXPECT_EQ(LoadElement(GetParam(), bytes, 0), ReadElement(expected, GetParam(), 0)) << value;
  }
}

TEST_P(ElementTest, ARunStartsWhereItIsToldTo) {
  std::vector<uint8_t> bytes(40 * DtypeBytes(GetParam()));
  for (int i = 0; i < 40; ++i) StoreElement(GetParam(), bytes.data(), i, static_cast<float>(i));
  std::vector<float> values(5);
  LoadElements(GetParam(), bytes.data(), 7, values);
  EXPECT_EQ(values, (std::vector<float>{7, 8, 9, 10, 11}));
  EXPECT_EQ(LoadElement(GetParam(), bytes.data(), 39), 39);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, ElementTest,
                         ::testing::Values(Dtype::kBf16, Dtype::kFp16, Dtype::kFp32),
                         [](const auto& test) { return std::string(DtypeName(test.param)); });

}  // namespace
}  // namespace moetune
