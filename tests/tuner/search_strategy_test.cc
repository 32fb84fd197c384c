#include "tuner/search_strategy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/cost_model.h"
#include "tests/testing/fictional_devices.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

// What every strategy has to keep, whatever it searches for.
class StrategyConformance : public ::testing::TestWithParam<StrategyEntry> {
 protected:
  std::unique_ptr<SearchStrategy> Make(size_t count, uint64_t seed = 1) {
    candidates_ = RankCandidates(SmallProblem(64), Fiction100());
    candidates_.resize(std::min(count, candidates_.size()));
    return GetParam().make(candidates_, {.seed = seed});
  }

  // Suggests and observes until the end, `batch` at a time.
  std::vector<size_t> RunToEnd(SearchStrategy& strategy, size_t batch) {
    std::vector<size_t> order;
    while (true) {
      const std::vector<size_t> suggested = strategy.Suggest(batch);
      EXPECT_LE(suggested.size(), batch);
      if (suggested.empty()) return order;
      for (size_t candidate : suggested) {
        EXPECT_LT(candidate, candidates_.size());
        strategy.Observe(
            candidate, candidate % 5 == 0 ? std::nullopt : std::optional<double>(10.0 + candidate));
        order.push_back(candidate);
      }
    }
  }

  std::vector<Candidate> candidates_;
};

TEST_P(StrategyConformance, SuggestsNothingTwice) {
  for (size_t batch : {1u, 3u, 100u}) {
    const std::vector<size_t> order = RunToEnd(*Make(40), batch);
    EXPECT_EQ(std::set<size_t>(order.begin(), order.end()).size(), order.size());
    EXPECT_FALSE(order.empty());
  }
}

TEST_P(StrategyConformance, DoesNotSuggestWhatWasMeasuredBefore) {
  const auto strategy = Make(40);
  for (size_t i = 0; i < 40; i += 2) strategy->Observe(i, 20.0);
  for (size_t candidate : RunToEnd(*strategy, 4)) EXPECT_EQ(candidate % 2, 1u);
}

TEST_P(StrategyConformance, IsTheSameForTheSameSeed) {
  EXPECT_EQ(RunToEnd(*Make(40, 7), 3), RunToEnd(*Make(40, 7), 3));
}

TEST_P(StrategyConformance, EndsWhereThereIsNothingToSearch) {
  EXPECT_TRUE(Make(0)->Suggest(3).empty());
  EXPECT_EQ(RunToEnd(*Make(1), 3), std::vector<size_t>{0});
}

INSTANTIATE_TEST_SUITE_P(Strategies, StrategyConformance,
                         ::testing::ValuesIn(Strategies().begin(), Strategies().end()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Strategies, ExhaustiveKeepsTheOrderOfTheCostModel) {
  const std::vector<Candidate> candidates = RankCandidates(SmallProblem(64), Fiction100());
  const auto strategy = MakeExhaustive(candidates, {});
  EXPECT_THAT(strategy->Suggest(3), ::testing::ElementsAre(0, 1, 2));
}

TEST(Strategies, RandomDependsOnTheSeedAndReachesEverything) {
  const std::vector<Candidate> candidates = RankCandidates(SmallProblem(64), Fiction100());
  const std::vector<size_t> one = MakeRandom(candidates, {.seed = 1})->Suggest(candidates.size());
  EXPECT_EQ(one.size(), candidates.size());
  EXPECT_NE(one, MakeRandom(candidates, {.seed = 2})->Suggest(candidates.size()));
}

TEST(Strategies, AnUnknownNameIsAnsweredWithTheNearest) {
  EXPECT_THAT(std::string(FindStrategy("exhaustiv").status().message()),
              ::testing::HasSubstr("did you mean 'exhaustive'"));
}

TEST(RankCandidates, BeginsWithTheDefaultAndAscends) {
  const Problem problem = SmallProblem(64);
  const std::vector<Candidate> ranked = RankCandidates(problem, Fiction100());
  ASSERT_GT(ranked.size(), 10u);
  EXPECT_EQ(ranked.front(), *DefaultCandidate(problem, Fiction100()));
  double before = 0;
  for (const Candidate& candidate : ranked) {
    const double estimate = EstimateUs(problem, candidate, Fiction100(), nullptr);
    EXPECT_GE(estimate, before);
    before = estimate;
  }
}

TEST(RankCandidates, IsEmptyWhereNoFamilyRuns) {
  EXPECT_TRUE(RankCandidates(SmallProblem(64), Relic30()).empty());
}

}  // namespace
}  // namespace moetune
