#include "tuner/cost_estimate.h"

#include <gmock/gmock.h>

#include <set>
#include <string>

#include "tests/tuner/sweep_fixture.h"
#include "tuner/kernel_name.h"

namespace moetune {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CostEstimateTest : public SweepTest {
 protected:
  CostEstimate Estimate(const SweepOptions& options, const std::vector<Problem>& problems,
                        const std::vector<Record>& records = {}) {
    return EstimateCost(problems, options, evaluator_, /*devices=*/1, /*processes=*/2, records)
        .value();
  }

  // A sweep of `trials` probes that took so many seconds, each kernel compiled in `compile_ms`.
  static std::vector<Record> PastSweep(int trials, double seconds, double compile_ms) {
    Sweep sweep = StartedSweep();
    std::vector<Record> records = {NewRecord(sweep)};
    for (int i = 0; i < trials; ++i) {
      Measurement trial = MeasurementFor(SmallProblem(64));
      trial.config = ReferenceConfig(i);
      trial.effort = Effort::kProbe;
      trial.compile_ms = compile_ms;
      records.push_back(NewRecord(trial));
    }
    sweep.state = SweepState::kFinished;
    sweep.at += static_cast<int64_t>(seconds * 1e6);
    records.push_back(NewRecord(sweep));
    return records;
  }
};

TEST_F(CostEstimateTest, WithoutPastSweepsItSaysThatItAssumes) {
  const CostEstimate cost = Estimate({}, {problem_, SmallProblem(65)});
  EXPECT_EQ(cost.candidates, cost.trials);
  EXPECT_GT(cost.candidates, ranked_.size());
  EXPECT_GT(cost.compiling, 0);
  EXPECT_GT(cost.measuring, 0);
  EXPECT_THAT(CostText(cost),
              AllOf(HasSubstr("2 problems"), HasSubstr("1.0 s each (assumed)"),
                    HasSubstr("0.06 s a trial (assumed)"), Not(HasSubstr("a problem,"))));
}

TEST_F(CostEstimateTest, AKernelIsCompiledOnceForAllProblems) {
  const CostEstimate one = Estimate({}, {problem_});
  std::set<std::string> kernels;
  for (const Candidate& candidate : ranked_) kernels.insert(KernelName(problem_.shape, candidate));
  EXPECT_EQ(one.kernels, kernels.size());
  const CostEstimate two = Estimate({}, {problem_, problem_});
  EXPECT_EQ(two.trials, 2 * one.trials);
  EXPECT_EQ(two.kernels, one.kernels);
}

TEST_F(CostEstimateTest, ABudgetAndAStrategyThatEndsByItselfBoundTheTrials) {
  EXPECT_EQ(Estimate({.budget = 3}, {problem_}).trials, 3u);
  const CostAssumptions few = {.trials_of_a_problem = 7};
  const auto estimate = [&](const SweepOptions& options) {
    return EstimateCost({{problem_}}, options, evaluator_, 1, 1, {}, few).value();
  };
  EXPECT_EQ(estimate({.strategy = "auto"}).trials, 7u);
  EXPECT_THAT(CostText(estimate({.strategy = "auto"})), HasSubstr("7 a problem, assumed"));
  EXPECT_EQ(estimate({.strategy = "local"}).trials, ranked_.size());
  EXPECT_EQ(estimate({.strategy = "auto", .budget = 9}).trials, 9u);
}

TEST_F(CostEstimateTest, WhatTheStoreHoldsIsNotMeasuredAgain) {
  Run({problem_}, {.budget = 5});
  const std::vector<Record> records = store_->Scan(0).value().records;
  const CostEstimate cost = Estimate({}, {problem_}, records);
  EXPECT_EQ(cost.known, 5u);
  EXPECT_EQ(cost.trials, ranked_.size() - 5);
  EXPECT_THAT(CostText(cost), HasSubstr("5 of them known"));
  EXPECT_EQ(Estimate({.budget = 5}, {problem_}, records).trials, 0u);
  EXPECT_EQ(Estimate({.fresh = true}, {problem_}, records).known, 0u);
}

TEST_F(CostEstimateTest, OfKnownKernelsAloneTheOthersAreNoCandidates) {
  Run({problem_}, {.budget = 5});
  const std::vector<Record> records = store_->Scan(0).value().records;
  const CostEstimate cost = Estimate({.known = true}, {SmallProblem(65)}, records);
  EXPECT_GE(cost.candidates, 5u);
  EXPECT_LE(cost.candidates, 6u * 4) << "those that share a kernel with the five, or the default";
  EXPECT_LE(cost.kernels, 1u);
}

TEST_F(CostEstimateTest, PastSweepsOfTheDeviceGiveTheRates) {
  const std::vector<Record> records = PastSweep(50, 100, 3000);
  const CostEstimate cost = Estimate({}, {problem_}, records);
  EXPECT_DOUBLE_EQ(cost.trial_seconds.value, 2);
  EXPECT_DOUBLE_EQ(cost.compile_seconds.value, 3);
  EXPECT_DOUBLE_EQ(cost.measuring, 2.0 * static_cast<double>(cost.trials));
  EXPECT_DOUBLE_EQ(cost.compiling, 3.0 * static_cast<double>(cost.kernels) / 2);
  EXPECT_THAT(CostText(cost), HasSubstr("2.00 s a trial (as in 1 past sweep)"));
  evaluator_.spec = Fable75();
  EXPECT_EQ(Estimate({}, {problem_}, records).trial_seconds.from, 0u);
}

TEST_F(CostEstimateTest, ProblemsThatWereNotCutOffTellWhenASearchEnds) {
  std::vector<Record> records = PastSweep(220, 100, 3000);
  for (size_t i = 1; i <= 70; ++i) {
    std::get<Measurement>(records[i].row).problem = SmallProblem(65);
  }
  const CostRate rate = Estimate({}, {problem_}, records).trials_of_a_problem;
  EXPECT_DOUBLE_EQ(rate.value, 150) << "of the other problem, by the same strategy";
  EXPECT_EQ(rate.from, 1u);
  EXPECT_EQ(Estimate({.strategy = "auto"}, {problem_}, records).trials_of_a_problem.from, 0u);
  EXPECT_EQ(Estimate({}, {problem_}, PastSweep(70, 100, 3000)).trials_of_a_problem.from, 0u);
}

TEST_F(CostEstimateTest, APastSweepOnSeveralDevicesTookTheTimeOfAll) {
  // Of three problems two were under way at once, and the third after them.
  const auto estimate = [&](std::vector<int64_t> begins) {
    std::vector<Record> records = PastSweep(60, 100, 3000);
    for (size_t i = 1; i + 1 < records.size(); ++i) {
      auto& trial = std::get<Measurement>(records[i].row);
      trial.problem = SmallProblem(static_cast<int64_t>(i % 3 + 1));
      trial.measured_at = begins[i % 3] + static_cast<int64_t>(i / 3);
    }
    return Estimate({}, {problem_}, records).trial_seconds.value;
  };
  EXPECT_DOUBLE_EQ(estimate({0, 20, 40}), 100.0 / 60) << "one after the other";
  EXPECT_DOUBLE_EQ(estimate({0, 1, 40}), 2 * 100.0 / 60);
}

TEST_F(CostEstimateTest, ATimeLimitBoundsTheSweep) {
  const CostEstimate all = Estimate({}, {problem_});
  const CostEstimate limited = Estimate({.time_limit = absl::Seconds(1)}, {problem_});
  EXPECT_DOUBLE_EQ(limited.seconds(), 1);
  EXPECT_DOUBLE_EQ(limited.all_seconds(), all.seconds());
  EXPECT_THAT(CostText(limited), HasSubstr("about 1 s, the time limit, of about "));
  EXPECT_THAT(CostText(all), Not(HasSubstr("limit")));
  EXPECT_EQ(CostText(Estimate({.time_limit = absl::Hours(100)}, {problem_})), CostText(all));
}

TEST_F(CostEstimateTest, SweepsThatAreShortOrWereCutOffTellNothing) {
  EXPECT_EQ(Estimate({}, {problem_}, PastSweep(10, 100, 3000)).trial_seconds.from, 0u);
  std::vector<Record> cut_off = PastSweep(50, 100, 3000);
  cut_off.pop_back();
  EXPECT_EQ(Estimate({}, {problem_}, cut_off).trial_seconds.from, 0u);
}

TEST_F(CostEstimateTest, AKernelThatWasFoundInTheCacheTellsNothingOfCompiling) {
  EXPECT_EQ(Estimate({}, {problem_}, PastSweep(50, 100, 0.5)).compile_seconds.from, 0u);
}

TEST_F(CostEstimateTest, DevicesShareTheTrialsAndProcessesTheCompiles) {
  const auto estimate = [&](size_t devices, size_t processes) {
    return EstimateCost({{problem_}}, {}, evaluator_, devices, processes, {}).value();
  };
  EXPECT_DOUBLE_EQ(estimate(2, 8).measuring, estimate(1, 1).measuring / 2);
  EXPECT_DOUBLE_EQ(estimate(2, 8).compiling, estimate(1, 1).compiling / 8);
}

}  // namespace
}  // namespace moetune
