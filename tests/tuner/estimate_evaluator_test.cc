#include "tuner/estimate_evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cost_model.h"
#include "tests/testing/silent_observer.h"
#include "tests/tuner/fake_workers.h"
#include "tuner/statistics.h"
#include "tuner/sweep.h"

namespace moetune {
namespace {

std::unique_ptr<EstimateEvaluator> StartOn(const FakeWorkers& workers) {
  auto evaluator = EstimateEvaluator::Start(
      Fiction200(),
      {.worker = workers.command(), .cubin_folder = workers.cubins(), .processes = 2});
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  return *std::move(evaluator);
}

TEST(EstimateEvaluator, TimesAreTheCostModelsOnTheCompiledKernelsFacts) {
  const FakeWorkers workers;
  const auto evaluator = StartOn(workers);
  const auto trials = evaluator->Measure(TinyProblem(), {&kGood, 1}, Effort::kProbe);
  ASSERT_TRUE(trials.ok()) << trials.status();
  const Trial& trial = trials->front();
  EXPECT_EQ(trial.measurement.effort, Effort::kEstimate);
  EXPECT_EQ(trial.measurement.device, Fiction200());
  EXPECT_EQ(trial.measurement.environment.policy, "estimate");
  EXPECT_EQ(trial.measurement.environment.driver, "");
  EXPECT_EQ(trial.measurement.environment.nvrtc, "13.0");
  EXPECT_EQ(trial.measurement.time_us,
            EstimateUs(TinyProblem(), kGood, Fiction200(), &trial.facts));
}

TEST(EstimateEvaluator, AMixIsRankedByTheMeanOverItsRoutings) {
  const FakeWorkers workers;
  Problem mix = TinyProblem(), balanced = mix;
  mix.routing.kinds = kBalanced | kSoftmax;
  balanced.routing.kinds = kBalanced;
  const auto trials = StartOn(workers)->Measure(mix, {&kGood, 1}, Effort::kFinal);
  ASSERT_TRUE(trials.ok()) << trials.status();
  const Trial& trial = trials->front();
  const double expected[] = {EstimateUs(balanced, kGood, Fiction200(), &trial.facts),
                             EstimateUs(TinyProblem(), kGood, Fiction200(), &trial.facts)};
  EXPECT_THAT(trial.samples_us, ::testing::ElementsAreArray(expected));
  EXPECT_EQ(trial.measurement.time_us, GeometricMean(expected));
}

TEST(EstimateEvaluator, AKernelThatSpillsIsNotRanked) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSpills));
  const auto trials = StartOn(workers)->Measure(TinyProblem(), {&kBad, 1}, Effort::kProbe);
  ASSERT_TRUE(trials.ok()) << trials.status();
  EXPECT_EQ(trials->front().measurement.outcome, Outcome::kSpills);
  EXPECT_EQ(trials->front().measurement.time_us, 0);
}

TEST(EstimateEvaluator, ASweepOverItEndsWithAnEstimatedWinner) {
  const FakeWorkers workers;
  const auto evaluator = StartOn(workers);
  const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
  SilentObserver observer;
  const auto winners = RunSweep({TinyProblem()}, {.budget = 5}, *store, *evaluator, observer);
  ASSERT_TRUE(winners.ok()) << winners.status();
  ASSERT_EQ(winners->size(), 1u);
  EXPECT_TRUE(winners->front().estimated);
  EXPECT_GT(winners->front().time_us, 0);
}

}  // namespace
}  // namespace moetune
