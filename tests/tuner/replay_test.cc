#include "tuner/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace moetune {
namespace {

using ::testing::HasSubstr;

// Configs x = 0, 1, ...; a time of zero is a failure.
Trace TraceOf(const std::vector<double>& times_us) {
  Trace trace;
  for (size_t i = 0; i < times_us.size(); ++i) {
    trace.points.push_back(
        {.config = Config{{"x", static_cast<int64_t>(i)}},
         .invalidity = times_us[i] > 0 ? Invalidity::kCorrect : Invalidity::kCompile,
         .time_us = times_us[i]});
  }
  return trace;
}

// Goes through x in ascending or descending order: tests know what is found when.
template <bool kAscending>
class ByX : public SearchStrategy {
 public:
  explicit ByX(std::span<const Candidate> candidates) : candidates_(candidates) {
    for (size_t i = 0; i < candidates.size(); ++i) left_.emplace(candidates[i].config.Get("x"), i);
  }
  std::vector<size_t> Suggest(size_t count) override {
    std::vector<size_t> suggested;
    while (suggested.size() < count && !left_.empty()) {
      const auto next = kAscending ? left_.begin() : std::prev(left_.end());
      suggested.push_back(next->second);
      left_.erase(next);
    }
    return suggested;
  }
  void Observe(size_t, std::optional<double>) override {}

 private:
  std::span<const Candidate> candidates_;
  std::map<int64_t, size_t> left_;
};

template <bool kAscending>
std::unique_ptr<SearchStrategy> MakeByX(std::span<const Candidate> candidates,
                                        const SearchOptions&) {
  return std::make_unique<ByX<kAscending>>(candidates);
}
constexpr StrategyEntry kAscending = {"ascending", "", MakeByX<true>};
constexpr StrategyEntry kDescending = {"descending", "", MakeByX<false>};

TEST(Replay, AFractionIsTheOptimumOverTheBestSoFar) {
  const Trace trace = TraceOf({0, 40, 20, 80, 10});
  const ReplayResult result =
      Replay(trace, kAscending, {.repeats = 3, .budgets = {1, 2, 4, 5, 9}}).value();
  const std::vector<BudgetScore> expected = {
      {1, 0, 0}, {2, 0.25, 0.25}, {4, 0.5, 0.5}, {5, 1, 1}, {9, 1, 1}};
  EXPECT_EQ(result.budgets, expected);
}

// The first of 50 moments must not lie before the first evaluation is done: one in 200 is fast.
TEST(Replay, ScoresOneForTheOptimumAtOnceAndLessThanZeroForTheWorstOrder) {
  std::vector<double> times_us = {1};
  for (int i = 1; i < 200; ++i) times_us.push_back(100 + i);
  EXPECT_DOUBLE_EQ(Replay(TraceOf(times_us), kAscending, {.repeats = 2})->score, 1);
  EXPECT_LT(Replay(TraceOf(times_us), kDescending, {.repeats = 2})->score, -1);
}

TEST(Replay, RandomSearchScoresAboutZero) {
  std::vector<double> times_us;
  for (int i = 1; i <= 300; ++i) times_us.push_back(i % 7 == 0 ? 0 : 100 + i);
  const StrategyEntry* random = *FindStrategy("random");
  const ReplayResult result = Replay(TraceOf(times_us), *random, {.repeats = 400}).value();
  EXPECT_NEAR(result.score, 0, 0.05);
}

TEST(Replay, RecordedCostsAreTheAxisWhereAllAreThere) {
  Trace trace = TraceOf({30, 20, 10});
  EXPECT_FALSE(Replay(trace, kAscending, {})->time_is_recorded);
  for (TracePoint& point : trace.points) point.cost = {.compile_us = 900, .rest_us = 100};
  const ReplayResult timed = Replay(trace, kAscending, {}).value();
  EXPECT_TRUE(timed.time_is_recorded);
  EXPECT_DOUBLE_EQ(timed.score_span, 3000);  // only all three draws are sure to be within 95 %
  trace.points[0].cost.reset();
  EXPECT_FALSE(Replay(trace, kAscending, {})->time_is_recorded);
}

TEST(Replay, CostsThatAreNoTimesAreNotTheAxis) {
  for (const TraceCost& cost : {TraceCost{}, TraceCost{.compile_us = -900, .rest_us = 1000},
                                TraceCost{.compile_us = 900, .rest_us = -100}}) {
    Trace trace = TraceOf({30, 20, 10});
    for (TracePoint& point : trace.points) point.cost = cost;
    const ReplayResult result = Replay(trace, kAscending, {}).value();
    EXPECT_FALSE(result.time_is_recorded);
    EXPECT_DOUBLE_EQ(result.score, Replay(TraceOf({30, 20, 10}), kAscending, {})->score);
  }
}

// Notes which configs stand first, and expects to know nothing when a repeat begins.
std::multiset<int64_t> first_configs;
class NotesTheOrder : public ByX<true> {
 public:
  explicit NotesTheOrder(std::span<const Candidate> candidates) : ByX(candidates) {
    first_configs.insert(candidates.front().config.Get("x"));
  }
};

TEST(Replay, EveryRepeatSeesAnotherOrder) {
  first_configs.clear();
  const StrategyEntry noting = {
      "noting", "", [](std::span<const Candidate> candidates, const SearchOptions&) {
        return std::unique_ptr<SearchStrategy>(std::make_unique<NotesTheOrder>(candidates));
      }};
  ASSERT_TRUE(Replay(TraceOf(std::vector<double>(50, 1.0)), noting, {.repeats = 30}).ok());
  EXPECT_EQ(first_configs.size(), 30u);
  EXPECT_GT(std::set<int64_t>(first_configs.begin(), first_configs.end()).size(), 10u);
}

TEST(Replay, EstimatesGiveTheOrder) {
  first_configs.clear();
  const StrategyEntry noting = {
      "noting", "", [](std::span<const Candidate> candidates, const SearchOptions& options) {
        EXPECT_TRUE(options.ordered);
        return std::unique_ptr<SearchStrategy>(std::make_unique<NotesTheOrder>(candidates));
      }};
  Trace trace = TraceOf({1, 2, 3, 4, 5});
  for (TracePoint& point : trace.points) point.estimate_us = 10 - point.time_us;
  ASSERT_TRUE(Replay(trace, noting, {.repeats = 3}).ok());
  EXPECT_EQ(first_configs, (std::multiset<int64_t>{4, 4, 4}));
}

TEST(Replay, WhatIsTriedFirstCounts) {
  const ReplayOptions options = {.budgets = {1, 2}, .first = {{{"x", 7}}, {{"x", 1}}}};
  const ReplayResult result = Replay(TraceOf({40, 20, 10}), kAscending, options).value();
  EXPECT_EQ(result.budgets[0].mean, 0.5) << "x = 7 is not in the trace";
}

TEST(Replay, IsTheSameForTheSameSeed) {
  std::vector<double> times_us;
  for (int i = 0; i < 100; ++i) times_us.push_back(1 + (i * 37) % 101);
  const StrategyEntry* random = *FindStrategy("random");
  const auto budgets = [&](uint64_t seed) {
    return Replay(TraceOf(times_us), *random, {.repeats = 5, .seed = seed})->budgets;
  };
  EXPECT_EQ(budgets(3), budgets(3));
  EXPECT_NE(budgets(3), budgets(4));
}

TEST(Replay, RefusesWhatCannotBeScored) {
  const auto refusal = [](const Trace& trace, const ReplayOptions& options) {
    return std::string(Replay(trace, kAscending, options).status().message());
  };
  EXPECT_THAT(refusal(TraceOf({0, 0}), {}), HasSubstr("no valid config"));
  EXPECT_THAT(refusal(TraceOf({1}), {.repeats = 0}), HasSubstr("repeats"));
  EXPECT_THAT(refusal(TraceOf({1}), {.budgets = {5, 0}}), HasSubstr("budget"));
  EXPECT_THAT(refusal(TraceOf({1}), {.budgets = {}}), HasSubstr("budgets"));
}

TEST(RandomBaseline, IsTheMeanOverAllDraws) {
  // By hand, of 10, 20, 40 and a failure, which counts as 40.
  const RandomBaseline baseline(TraceOf({40, 10, 0, 20}));
  EXPECT_DOUBLE_EQ(baseline.ExpectedBest(1), (10 + 20 + 40 + 40) / 4.0);
  EXPECT_DOUBLE_EQ(baseline.ExpectedBest(2), (10 * 3 + 20 * 2 + 40) / 6.0);
  EXPECT_DOUBLE_EQ(baseline.ExpectedBest(3), (10 * 3 + 20) / 4.0);
  EXPECT_DOUBLE_EQ(baseline.ExpectedBest(4), 10);
  EXPECT_DOUBLE_EQ(baseline.ExpectedBest(0), 40);
  EXPECT_DOUBLE_EQ(baseline.ExpectedBest(1.5),
                   (baseline.ExpectedBest(1) + baseline.ExpectedBest(2)) / 2);
}

TEST(RandomBaseline, CountsTheDrawsThatAFractionTakes) {
  std::vector<double> times_us;
  for (int i = 1; i <= 1000; ++i) times_us.push_back(i);
  const RandomBaseline baseline(TraceOf(times_us));
  const int64_t draws = baseline.DrawsToReach(0.95);
  const double target_us = 500 - 0.95 * 499;
  EXPECT_LE(baseline.ExpectedBest(static_cast<double>(draws)), target_us);
  EXPECT_GT(baseline.ExpectedBest(static_cast<double>(draws - 1)), target_us);
}

}  // namespace
}  // namespace moetune
