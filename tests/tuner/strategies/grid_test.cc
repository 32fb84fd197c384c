#include "tuner/strategies/grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/registry.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

TEST(Grid, ADimensionIsAParameterThatVaries) {
  const std::vector<Candidate> candidates = {{.config = {{"a", 8}, {"b", 1}, {"c", 5}}},
                                             {.config = {{"a", 4}, {"b", 1}, {"c", 5}}},
                                             {.config = {{"a", 8}, {"b", 1}, {"c", -7}}}};
  const Grid grid(candidates);
  ASSERT_EQ(grid.dimensions(), 2u);
  EXPECT_THAT(grid.Column(0), ElementsAre(1, 0, 1));
  EXPECT_THAT(grid.Column(1), ElementsAre(1, 1, 0));
  EXPECT_THAT(grid.Point(1), ElementsAre(0, 1));
}

TEST(Grid, MagnitudesStandByTheirRatio) {
  std::vector<Candidate> candidates;
  for (int64_t value : {16, 64, 256}) candidates.push_back({.config = {{"a", value}}});
  const Grid grid(candidates);
  EXPECT_FLOAT_EQ(grid.Position(0, 0), 0);
  EXPECT_FLOAT_EQ(grid.Position(0, 1), 0.5);
  EXPECT_FLOAT_EQ(grid.Position(0, 2), 1);
}

TEST(Grid, MagnitudesThatAreHardlyDifferentStandInEqualSteps) {
  std::vector<Candidate> candidates;
  for (int64_t value = 20'000'000; value < 20'000'003; ++value) {
    candidates.push_back({.config = {{"a", value}}});
  }
  const Grid grid(candidates);
  EXPECT_FLOAT_EQ(grid.Position(0, 0), 0);
  EXPECT_FLOAT_EQ(grid.Position(0, 1), 0.5);
  EXPECT_FLOAT_EQ(grid.Position(0, 2), 1);
}

TEST(Grid, AMissingParameterIsAValueOfItsOwn) {
  const std::vector<Candidate> candidates = {{.config = {{"a", 2}}}, {}, {.config = {{"a", 1}}}};
  const Grid grid(candidates);
  EXPECT_THAT(grid.Column(0), ElementsAre(2, 0, 1));
}

TEST(Grid, TheFamilyIsADimension) {
  const std::vector<Candidate> candidates = {{.family = Families()[1], .config = {{"a", 1}}},
                                             {.family = Families()[0], .config = {{"a", 1}}}};
  const Grid grid(candidates);
  ASSERT_EQ(grid.dimensions(), 1u);
  EXPECT_THAT(grid.Column(0), ElementsAre(0, 1));
}

TEST(Grid, CountsInHowManyDimensionsAPointDiffers) {
  const std::vector<Candidate> candidates = {{.config = {{"a", 1}, {"b", 1}}},
                                             {.config = {{"a", 1}, {"b", 2}}},
                                             {.config = {{"a", 2}, {"b", 2}}}};
  const Grid grid(candidates);
  std::vector<uint16_t> counts;
  grid.CountDifferences(grid.Point(0), counts);
  EXPECT_THAT(counts, ElementsAre(0, 1, 2));
}

TEST(Grid, AnOrderThatMeansSomethingIsADimensionButNoPartOfAPoint) {
  std::vector<Candidate> candidates;
  for (int64_t i = 0; i < 1000; ++i) candidates.push_back({.config = {{"a", i % 2}}});
  const Grid grid(candidates, /*ordered=*/true);
  ASSERT_EQ(grid.dimensions(), 2u);
  EXPECT_EQ(grid.Point(999), (std::vector<Grid::Coordinate>{1}));
  std::vector<uint16_t> counts;
  grid.CountDifferences(grid.Point(0), counts);
  EXPECT_EQ(counts[998], 0);
  const auto place = [&](size_t i) { return grid.Position(1, grid.Column(1)[i]); };
  EXPECT_EQ(place(0), 0);
  EXPECT_EQ(place(999), 1);
  EXPECT_GT(place(100) - place(0), place(999) - place(899)) << "the front counts more";
}

TEST(Grid, NothingAndOneHaveNoDimensions) {
  EXPECT_EQ(Grid({}).dimensions(), 0u);
  const std::vector<Candidate> one = {{.config = {{"a", 1}}}};
  EXPECT_EQ(Grid(one).dimensions(), 0u);
}

}  // namespace
}  // namespace moetune
