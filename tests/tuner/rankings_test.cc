#include "tuner/rankings.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/testing/fictional_devices.h"
#include "tests/testing/records.h"
#include "tuner/search_strategy.h"

namespace moetune {
namespace {

TEST(Rankings, AProblemIsRankedOnceAsTheCostModelRanksIt) {
  Rankings rankings;
  const std::vector<Candidate>& first = rankings.Of(SmallProblem(64), Fiction100());
  EXPECT_EQ(first, RankCandidates(SmallProblem(64), Fiction100()));
  EXPECT_EQ(&rankings.Of(SmallProblem(64), Fiction100()), &first);
}

TEST(Rankings, EachDeviceHasItsOwn) {
  Rankings rankings;
  rankings.Of(SmallProblem(64), Fiction100());
  EXPECT_EQ(rankings.Of(SmallProblem(64), Fable75()), RankCandidates(SmallProblem(64), Fable75()));
}

TEST(Rankings, ProblemsShareTheMemoryOfTheirConfigs) {
  Rankings rankings;
  const std::vector<Candidate>& one = rankings.Of(SmallProblem(64), Fiction100());
  const std::vector<Candidate>& other = rankings.Of(SmallProblem(65), Fiction100());
  for (const Candidate& candidate : one) {
    const auto same = std::ranges::find(other, candidate);
    ASSERT_NE(same, other.end());
    EXPECT_EQ(&same->config.entries(), &candidate.config.entries());
  }
}

}  // namespace
}  // namespace moetune
