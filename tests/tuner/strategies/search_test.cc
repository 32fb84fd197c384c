// What the strategies that learn are there for, and how every strategy does on a space of tiles;
// the conformance suite of them all is tests/tuner/search_strategy_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "tests/tuner/strategies/tile_space.h"
#include "tuner/replay.h"
#include "tuner/search_strategy.h"

namespace moetune {
namespace {

// Enough repeats that what random search finds is known within a percent.
const ReplayResult& Score(std::string_view strategy) {
  static const std::map<std::string_view, ReplayResult> results = [] {
    const Trace space = TileSpace(1);
    std::map<std::string_view, ReplayResult> by_name;
    for (const StrategyEntry& entry : Strategies()) {
      by_name.emplace(entry.name,
                      Replay(space, entry, {.repeats = 60, .budgets = {25, 50, 100}}).value());
    }
    return by_name;
  }();
  return results.at(strategy);
}

std::vector<size_t> RunToEnd(SearchStrategy& strategy, size_t batch, size_t limit,
                             const std::function<std::optional<double>(size_t)>& time_us) {
  std::vector<size_t> order;
  while (order.size() < limit) {
    const std::vector<size_t> suggested = strategy.Suggest(batch);
    if (suggested.empty()) break;
    for (size_t candidate : suggested) {
      strategy.Observe(candidate, time_us(candidate));
      order.push_back(candidate);
    }
  }
  return order;
}

TEST(Search, WhatLearnsIsAheadOfRandom) {
  for (const char* name : {"genetic", "local", "auto"}) {
    EXPECT_GT(Score(name).budgets[2].mean, Score("random").budgets[2].mean + 0.02) << name;
  }
}

TEST(Search, AutoIsAheadOfAllOthers) {
  for (const char* name : {"random", "genetic", "local"}) {
    EXPECT_GT(Score("auto").budgets[1].mean, Score(name).budgets[1].mean + 0.02) << name;
    EXPECT_GT(Score("auto").budgets[2].mean, Score(name).budgets[2].mean + 0.02) << name;
    EXPECT_GT(Score("auto").score, Score(name).score) << name;
  }
}

// In a sweep the candidates come in the cost model's order.
TEST(Search, AutoProfitsFromAnOrderThatMeansSomething) {
  Trace space = TileSpace(1);
  Random noise{5};
  std::vector<std::pair<double, TracePoint>> estimated;
  for (TracePoint& point : space.points) {
    const double time_us = TileTimeUs(point.config).value_or(200);
    estimated.emplace_back(time_us * std::exp(0.4 * noise.Normal()), std::move(point));
  }
  std::ranges::sort(estimated, {}, &std::pair<double, TracePoint>::first);
  std::vector<Candidate> candidates;
  for (const auto& [estimate, point] : estimated) candidates.push_back({.config = point.config});
  double mean = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    double best_us = 1e9;
    RunToEnd(*MakeAuto(candidates, {.seed = seed}), 1, 25, [&](size_t candidate) {
      const std::optional<double> time_us = TileTimeUs(candidates[candidate].config);
      best_us = std::min(best_us, time_us.value_or(1e9));
      return time_us;
    });
    mean += best_us / 10;
  }
  double optimum_us = 1e9;
  for (const Candidate& each : candidates) {
    optimum_us = std::min(optimum_us, TileTimeUs(each.config).value_or(1e9));
  }
  EXPECT_GT(optimum_us / mean, Score("auto").budgets[0].mean + 0.01);
}

TEST(Search, AutoLearnsWhereConfigsFail) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace());
  int failures = 0;
  int trials = 0;
  RunToEnd(*MakeAuto(candidates, {}), 1, 120, [&](size_t candidate) -> std::optional<double> {
    const Config& config = candidates[candidate].config;
    const bool fails = config.Get("swizzle") == 1 && config.Get("stages") >= 3;  // the fast ones
    if (++trials > 40 && fails) ++failures;
    return fails ? std::nullopt : TileTimeUs(config);
  });
  EXPECT_LT(failures, 20);  // of 80; a quarter of all candidates fail
}

TEST(Search, AutoBuildsOnWhatIsKnown) {
  const Trace space = TileSpace();
  const std::vector<Candidate> candidates = CandidatesOf(space);
  const auto strategy = MakeAuto(candidates, {});
  double median_us = 0;
  std::vector<double> times_us;
  for (size_t i = 0; i < candidates.size(); i += 13) {
    const std::optional<double> time_us = TileTimeUs(candidates[i].config);
    strategy->Observe(i, time_us);
    if (time_us) times_us.push_back(*time_us);
  }
  std::ranges::sort(times_us);
  median_us = times_us[times_us.size() / 2];
  int fast = 0;
  int slow = 0;
  RunToEnd(*strategy, 1, 20, [&](size_t candidate) {
    const std::optional<double> time_us = TileTimeUs(candidates[candidate].config);
    if (time_us) ++(*time_us < 0.6 * median_us ? fast : slow);
    return time_us;
  });
  EXPECT_EQ(slow, 0);
  EXPECT_GE(fast, 10);  // here the fastest lie beside those that fail
}

TEST(Search, AutoEndsWhereLittleIsLeftToGainAndOnlyIfAskedTo) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace(1));
  const auto time_us = [&](size_t i) { return TileTimeUs(candidates[i].config); };
  double optimum_us = 1e9;
  for (size_t i = 0; i < candidates.size(); ++i) {
    optimum_us = std::min(optimum_us, time_us(i).value_or(1e9));
  }
  size_t trials = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const std::vector<size_t> order = RunToEnd(
        *MakeAuto(candidates, {.seed = seed, .least_gain = 0.02}), 1, candidates.size(), time_us);
    double best_us = 1e9;
    for (size_t candidate : order) best_us = std::min(best_us, time_us(candidate).value_or(1e9));
    EXPECT_GT(optimum_us / best_us, 0.85);
    trials += order.size();
  }
  EXPECT_LT(trials, 10 * candidates.size() / 4);
  EXPECT_EQ(RunToEnd(*MakeAuto(candidates, {}), 1, candidates.size(), time_us).size(),
            candidates.size());
}

// What is left to gain is less than asked for from the first model on.
TEST(Search, AutoIsPatientWithItsModel) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace(1));
  const std::vector<size_t> order = RunToEnd(*MakeAuto(candidates, {.least_gain = 0.02}), 1,
                                             candidates.size(), [](size_t) { return 100.0; });
  EXPECT_GE(order.size(), 100u);
  EXPECT_LE(order.size(), 110u);
}

class EveryStrategy : public ::testing::TestWithParam<StrategyEntry> {};

TEST_P(EveryStrategy, ReachesAllOfASpace) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace(1));
  const std::vector<size_t> order =
      RunToEnd(*GetParam().make(candidates, {.seed = 3}), 7, 10000,
               [&](size_t candidate) { return TileTimeUs(candidates[candidate].config); });
  EXPECT_EQ(std::set<size_t>(order.begin(), order.end()).size(), candidates.size());
  EXPECT_EQ(order.size(), candidates.size());
}

TEST_P(EveryStrategy, GoesOnWhereEverythingFails) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace(1));
  const std::vector<size_t> order = RunToEnd(*GetParam().make(candidates, {.seed = 3}), 1, 10000,
                                             [](size_t) { return std::nullopt; });
  EXPECT_EQ(order.size(), candidates.size());
}

// The last word on a candidate counts, and what was in flight may fail.
TEST_P(EveryStrategy, TakesLateCorrections) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace(1));
  const auto strategy = GetParam().make(candidates, {.seed = 3});
  std::vector<size_t> all;
  for (int round = 0; round < 10; ++round) {
    const std::vector<size_t> suggested = strategy->Suggest(8);
    for (size_t candidate : suggested) strategy->Observe(candidate, 100.0 + candidate % 17);
    strategy->Observe(suggested[0], std::nullopt);
    strategy->Observe(suggested[1], 50.0);
    strategy->Observe(suggested[1], 150.0);
    strategy->Observe(suggested[0], 120.0);
    all.insert(all.end(), suggested.begin(), suggested.end());
  }
  EXPECT_EQ(std::set<size_t>(all.begin(), all.end()).size(), 80u);
}

TEST_P(EveryStrategy, IsQuickInAHugeSpace) {
  const std::vector<Candidate> candidates = CandidatesOf(TileSpace(26));
  ASSERT_GT(candidates.size(), 19000u);
  const auto start = std::chrono::steady_clock::now();
  RunToEnd(*GetParam().make(candidates, {.seed = 3}), 1, 100,
           [&](size_t candidate) { return TileTimeUs(candidates[candidate].config); });
  // A tenth of this on an idle machine.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

INSTANTIATE_TEST_SUITE_P(Search, EveryStrategy,
                         ::testing::ValuesIn(Strategies().begin(), Strategies().end()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace moetune
