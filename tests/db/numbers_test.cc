#include "db/numbers.h"

#include <gtest/gtest.h>

#include <limits>

namespace moetune {
namespace {

TEST(Numbers, ListsReadBackExactly) {
  for (const std::vector<double>& values : std::vector<std::vector<double>>{
           {}, {0}, {12.5, 13}, {0.1 + 0.2, -1e300, std::numeric_limits<double>::denorm_min()}}) {
    EXPECT_EQ(ParseNumbers(NumbersText(values)).value(), values) << NumbersText(values);
  }
  EXPECT_EQ(NumbersText({12.5, 13}), "12.5,13");
}

TEST(Numbers, WhatIsNoListIsRefused) {
  for (const char* text :
       {",", "1,", ",1", "1,,2", "1 2", "1, 2", "inf", "nan", "x", "1x", "1e999"}) {
    EXPECT_FALSE(ParseNumbers(text).ok()) << text;
  }
}

}  // namespace
}  // namespace moetune
