#include "cli/table.h"

#include <gtest/gtest.h>

namespace moetune {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCellAndNumbersAlignRight) {
  EXPECT_EQ(TableText({"name", "µs", "by"}, {{"a", "8.5", "me"}, {"longer", "1200", "x"}}),
            "name      µs  by\n"
            "a        8.5  me\n"
            "longer  1200  x\n");
}

TEST(Table, LettersOfSeveralBytesTakeOneColumn) {
  EXPECT_EQ(TableText({"a", "b"}, {{"µµ", "x"}, {"zz", "y"}}),
            "a   b\n"
            "µµ  x\n"
            "zz  y\n");
}

TEST(Table, FieldsAlignTheirValuesAndLeaveOutTheEmpty) {
  EXPECT_EQ(FieldsText({{"tier", "exact"}, {"cubin", ""}, {"family", "reference"}}),
            "tier    exact\n"
            "family  reference\n");
}

TEST(Table, TimesHaveAboutFourDigits) {
  EXPECT_EQ(MicrosecondsText(8.1254), "8.125");
  EXPECT_EQ(MicrosecondsText(81.254), "81.25");
  EXPECT_EQ(MicrosecondsText(812.54), "812.5");
  EXPECT_EQ(MicrosecondsText(81254.0), "81254");
  EXPECT_EQ(SpeedupText(1.306), "1.31x");
}

}  // namespace
}  // namespace moetune
