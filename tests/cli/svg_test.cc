#include "cli/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moetune {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(EscapeHtml, LeavesNothingThatEndsATextOrAnAttribute) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\"> & µs"), "&lt;a href=&quot;x&quot;&gt; &amp; µs");
}

TEST(NumberText, HasThreeDigitsAtMostAndNoExponent) {
  EXPECT_EQ(NumberText(0.25), "0.25");
  EXPECT_EQ(NumberText(12.345), "12.3");
  EXPECT_EQ(NumberText(1234), "1234");
  EXPECT_EQ(NumberText(12345), "12.3k");
  EXPECT_EQ(NumberText(2.5e6), "2.5M");
}

TEST(Scale, GoesFromEndToEndAndHoldsWhatLiesBeyond) {
  const Scale linear = {.low = 0, .high = 10, .from = 100, .to = 200};
  EXPECT_EQ(linear(0), 100);
  EXPECT_EQ(linear(5), 150);
  EXPECT_EQ(linear(20), 200);
  const Scale log = {.low = 1, .high = 100, .from = 300, .to = 100, .log = true};
  EXPECT_EQ(log(1), 300);
  EXPECT_NEAR(log(10), 200, 1e-9);
  EXPECT_EQ(log(0.1), 300);
}

TEST(Scale, TicksAreRoundAndWithin) {
  EXPECT_THAT((Scale{.low = 0, .high = 10}.Ticks(5)), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT((Scale{.low = 1, .high = 2}.Ticks(5)),
              ElementsAre(DoubleNear(1, 1e-9), DoubleNear(1.2, 1e-9), DoubleNear(1.4, 1e-9),
                          DoubleNear(1.6, 1e-9), DoubleNear(1.8, 1e-9), DoubleNear(2, 1e-9)));
  EXPECT_THAT((Scale{.low = 3, .high = 60, .log = true}.Ticks(7)), ElementsAre(5, 10, 20, 50));
  for (const int count : {2, 5, 7}) {
    const Scale wide = {.low = 0.003, .high = 4e7, .log = true};
    EXPECT_LE(wide.Ticks(count).size(), static_cast<size_t>(count));
    EXPECT_GE(wide.Ticks(count).size(), 2u);
  }
}

TEST(Svg, SaysWhatItIsAndWhatItsMarksAre) {
  Svg svg(100, 50, "a \"chart\"");
  svg.Mark({1, 2}, 3, 0, "mark", "a < b");
  svg.Mark({1, 2}, 3, 1, "mark", "square");
  const std::string text = std::move(svg).Finish();
  EXPECT_THAT(text, HasSubstr("aria-label=\"a &quot;chart&quot;\""));
  EXPECT_THAT(text, HasSubstr("<title>a &lt; b</title></circle>"));
  EXPECT_THAT(text, HasSubstr("<title>square</title></polygon>"));
  EXPECT_THAT(text, ::testing::EndsWith("</svg>\n"));
}

TEST(Svg, ThousandsOfDotsAreOneElement) {
  Svg svg(100, 50, "dots");
  svg.Dots(std::vector<Point>(5000, Point{1, 2}), "dots");
  const std::string text = std::move(svg).Finish();
  EXPECT_EQ(text.find("<path"), text.rfind("<path"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace moetune
