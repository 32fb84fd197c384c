#include "tuner/gpu_evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/fake_machine.h"
#include "tests/tuner/fake_workers.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Policy kPolicy = {.flush_bytes = 4096, .flush_l2_times = 0, .idle_gap = 0};

// A GpuEvaluator in this process, on a fictional GPU that follows a script.
struct Bench {
  explicit Bench(const FakeScript& script = {}, const Policy& policy = kPolicy)
      : nvrtc(script), cuda(script) {
    const auto reasons = [this](int) { return throttling ? throttling() : 0; };
    evaluator =
        GpuEvaluator::Create(cuda.api(), cache, "13.0", {.policy = policy, .throttling = reasons})
            .value();
  }

  absl::Status Measure(const std::vector<Candidate>& candidates, Effort effort,
                       const std::vector<Candidate>& bases = {},
                       const Problem& problem = TinyProblem()) {
    for (const auto& all : {candidates, bases}) {
      for (const Candidate& candidate : all) {
        CompileCached(cache, nvrtc.api(), MakeSource(problem.shape, candidate), "sm_90a").value();
      }
    }
    trials.assign(candidates.size(), std::nullopt);
    steps.clear();
    return evaluator->Measure(
        problem, candidates, effort, bases,
        {.on_step = [&](Step step) { steps.push_back(step); },
         .on_trial = [&](size_t i, const Trial& trial) { trials[i] = trial; }});
  }

  Outcome OutcomeOf(size_t i) const { return trials[i]->measurement.outcome; }

  FakeNvrtc nvrtc;
  FakeCuda cuda;
  TempFolder folder;
  CubinCache cache = CubinCache::Open(folder.path()).value();
  std::function<uint32_t()> throttling;
  std::unique_ptr<GpuEvaluator> evaluator;
  std::vector<std::optional<Trial>> trials;
  std::vector<Step> steps;
};

FakeScript TimesOf(double good, double other, double bad) {
  return {.times = {{good, {"reference", kGood.config}},
                    {other, {"reference", kOther.config}},
                    {bad, {"reference", kBad.config}}}};
}

TEST(GpuEvaluator, AKernelOnceLoadedIsNotReadAgainForTheNextProblem) {
  Bench bench;
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe).ok());
  std::filesystem::remove_all(bench.folder.path());
  std::optional<Trial> trial;
  EXPECT_TRUE(bench.evaluator
                  ->Measure(TinyProblem(20), {&kGood, 1}, Effort::kProbe, {},
                            {.on_step = [](Step) {},
                             .on_trial = [&](size_t, const Trial& made) { trial = made; }})
                  .ok());
  ASSERT_TRUE(trial);
  EXPECT_EQ(trial->measurement.outcome, Outcome::kOk) << trial->measurement.error;
}

TEST(GpuEvaluator, ConfigsThatShareAKernelAreEachLaunchedAsTheyAre) {
  const Candidate one = {FindFamily("sm80_mma").value(), MmaConfig(1)};
  const Candidate other = {one.family, MmaConfig(8)};
  Bench bench({.times = {{100, {"sm80_mma", {{"group_m", 1}}}}, {90, {"sm80_mma", {}}}}});
  ASSERT_TRUE(bench.Measure({one, other, one}, Effort::kProbe, {kGood}).ok());
  const double want_us[] = {100, 90, 100};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(bench.OutcomeOf(i), Outcome::kOk) << bench.trials[i]->measurement.error;
    EXPECT_NEAR(bench.trials[i]->measurement.time_us, want_us[i], 1);
  }
  EXPECT_EQ(bench.nvrtc.compiles(), 2) << "theirs, and the reference's";
}

TEST(GpuEvaluator, AProbeIsTheLeastOfThree) {
  Bench bench({.times = {{100, {}}}, .noise = 0.05});
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe).ok());
  const Trial& trial = *bench.trials[0];
  EXPECT_EQ(trial.measurement.outcome, Outcome::kOk) << trial.measurement.error;
  ASSERT_EQ(trial.samples_us.size(), 3u);
  EXPECT_EQ(trial.measurement.time_us,
            *std::min_element(trial.samples_us.begin(), trial.samples_us.end()));
  EXPECT_EQ(trial.measurement.samples, 3);
}

TEST(GpuEvaluator, EveryFusionIsVerifiedAndTimed) {
  Bench bench;
  for (const char* fusions :
       {"gather", "scatter+scale", "gather+swiglu", "swiglu+preact", "combine"}) {
    for (const char* rows : {"", "/r30"}) {
      const Problem problem =
          ProblemOf(absl::StrFormat("forward/bf16/%s/e4/t12x4/n24/k16%s/balanced", fusions, rows));
      ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kProbe, {}, problem).ok());
      for (int i : {0, 1}) {
        EXPECT_EQ(bench.OutcomeOf(i), Outcome::kOk)
            << ProblemKey(problem) << ": " << bench.trials[i]->measurement.error;
      }
    }
  }
}

TEST(GpuEvaluator, AProbeThatIsHopelessBesideTheBestEndsAfterOneSample) {
  Bench bench(TimesOf(100, 180, 140));
  ASSERT_TRUE(bench.Measure({kGood, kOther, kBad}, Effort::kProbe).ok());
  EXPECT_EQ(bench.trials[1]->measurement.samples, 1);
  EXPECT_EQ(bench.trials[2]->measurement.samples, 3);
}

TEST(GpuEvaluator, TheFinalHasTheSameRoundsForAll) {
  Bench bench(TimesOf(100, 180, 140));
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kFinal).ok());
  for (int i : {0, 1}) {
    EXPECT_EQ(bench.trials[i]->samples_us.size(), 25u);
    EXPECT_EQ(bench.trials[i]->measurement.effort, Effort::kFinal);
  }
  EXPECT_NEAR(bench.trials[0]->measurement.time_us, 100, 1e-3);
  EXPECT_NEAR(bench.trials[1]->measurement.time_us, 180, 1e-3);
}

TEST(GpuEvaluator, OnlyAFinalHasABackToBackTime) {
  Bench bench(TimesOf(100, 180, 140));
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kFinal).ok());
  EXPECT_NEAR(bench.trials[0]->measurement.hot_us, 100, 1e-3);
  EXPECT_NEAR(bench.trials[1]->measurement.hot_us, 180, 1e-3);
  for (const Effort effort : {Effort::kProbe, Effort::kShort}) {
    ASSERT_TRUE(bench.Measure({kGood, kOther}, effort).ok());
    EXPECT_EQ(bench.trials[0]->measurement.hot_us, 0);
  }
}

// What the back-to-back time costs beside the rounds: 15 launches, 9 of long ones.
TEST(GpuEvaluator, ABackToBackTimeIsCheap) {
  for (const double us : {100.0, 3000.0}) {
    Bench bench(TimesOf(us, us, us));
    ASSERT_TRUE(bench.Measure({kGood}, Effort::kShort).ok());
    const size_t before = bench.cuda.launches().size();
    ASSERT_TRUE(bench.Measure({kGood}, Effort::kFinal).ok());
    const size_t cold = 1 + bench.trials[0]->samples_us.size();
    EXPECT_EQ(bench.cuda.launches().size() - before - cold, us > 2000 ? 9u : 15u);
  }
}

TEST(GpuEvaluator, AFinalTellsTheClockOfItsSamplesWhereThereIsAProbe) {
  Bench bench(TimesOf(100, 180, 140));
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kFinal).ok());
  EXPECT_EQ(bench.trials[0]->measurement.sm_clock_mhz, 0);
  const Cubin probe = Compile(bench.nvrtc.api(), ClockProbeSource(), "sm_90a").value();
  ASSERT_TRUE(bench.evaluator->UseClockProbe(probe).ok());
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kFinal).ok());
  EXPECT_NEAR(bench.trials[0]->measurement.sm_clock_mhz, fake_cuda::kSmClockMhz, 0.1);
  EXPECT_NEAR(bench.trials[0]->measurement.time_us, 100, 1e-3) << "as without a probe";
}

TEST(GpuEvaluator, ThrottlingThatKeepsChangingIsFlaggedInTheRow) {
  Bench bench(TimesOf(100, 180, 140));
  bench.throttling = [reasons = uint32_t{4}]() mutable { return reasons ^= 0x24; };
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kShort).ok());
  EXPECT_EQ(bench.trials[0]->samples_us.size(), 10u);
  EXPECT_EQ(bench.trials[0]->measurement.unsteady_rounds, 0) << "nobody watches a short list";
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kFinal).ok());
  for (int i : {0, 1}) {
    const Measurement& m = bench.trials[i]->measurement;
    EXPECT_EQ(m.samples, 25);
    EXPECT_EQ(m.unsteady_rounds, 25);
    EXPECT_EQ(m.clocks.throttle, "power_cap+hot");
  }
}

TEST(GpuEvaluator, LongLaunchesAreSampledLess) {
  Bench bench(TimesOf(3000, 3100, 3200));
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kFinal).ok());
  EXPECT_EQ(bench.trials[1]->samples_us.size(), 9u);
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kShort).ok());
  EXPECT_EQ(bench.trials[1]->samples_us.size(), 5u);
}

TEST(GpuEvaluator, TheCardRestsInTheFinalOfProblemsWithEnoughTokens) {
  Policy policy = kPolicy;
  policy.final_rounds = 2;
  policy.idle_us = 300000;
  policy.idle_tokens = 20;
  Bench bench(TimesOf(100, 100, 100), policy);
  const auto seconds = [&](int64_t tokens, Effort effort) {
    const absl::Time start = absl::Now();
    EXPECT_TRUE(bench.Measure({kGood}, effort, {}, TinyProblem(tokens)).ok());
    return absl::ToDoubleSeconds(absl::Now() - start);
  };
  EXPECT_GE(seconds(20, Effort::kFinal), 0.6);
  EXPECT_LT(seconds(19, Effort::kFinal), 0.6);
  EXPECT_LT(seconds(20, Effort::kShort), 0.6);
}

TEST(GpuEvaluator, AKernelIsVerifiedOnceAndLoadedOnceForAProblem) {
  Bench bench(TimesOf(100, 100, 100));
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe).ok());
  const size_t launches = bench.cuda.launches().size();
  EXPECT_EQ(launches, 2u + 3u) << "two draws, three samples";
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe).ok());
  EXPECT_EQ(bench.cuda.launches().size(), launches + 3);
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe, {}, TinyProblem(20)).ok());
  EXPECT_EQ(bench.cuda.launches().size(), launches + 3 + 5) << "another problem, verified anew";
  EXPECT_EQ(bench.cuda.loaded_modules(), 1);
}

TEST(GpuEvaluator, ALongKernelIsTimedWhileItIsVerified) {
  Bench bench(TimesOf(3000, 9000, 3000));
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe).ok());
  EXPECT_EQ(bench.cuda.launches().size(), 2u + 1u) << "two draws, one more sample of the first";
  EXPECT_EQ(bench.trials[0]->measurement.samples, 2);
  ASSERT_TRUE(bench.Measure({kOther}, Effort::kProbe).ok());
  EXPECT_EQ(bench.cuda.launches().size(), 3u + 2u) << "hopeless";
  EXPECT_EQ(bench.trials[0]->measurement.samples, 1);
  EXPECT_NEAR(bench.trials[0]->measurement.time_us, 9000, 1e-3);
}

TEST(GpuEvaluator, AMixIsVerifiedAndTimedOnEachOfItsRoutings) {
  const Problem mix = ProblemOf("forward/bf16/gather/e4/t12x2/n40/k24/balanced+softmax+zipf");
  Bench bench(TimesOf(100, 140, 140));
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kProbe, {}, mix).ok());
  EXPECT_EQ(bench.cuda.launches().size(), 2 * (4u + 3u * 3u))
      << "four draws; three on each routing";
  EXPECT_NEAR(bench.trials[1]->measurement.time_us, 140, 1e-3);
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kFinal, {}, mix).ok());
  EXPECT_EQ(bench.trials[0]->samples_us.size(), 3 * 25u);
  ASSERT_EQ(bench.trials[1]->measurement.routing_us.size(), 3u);
  for (const double us : bench.trials[1]->measurement.routing_us) EXPECT_NEAR(us, 140, 1e-3);
  EXPECT_NEAR(bench.trials[0]->measurement.time_us, 100, 1e-3);
  EXPECT_NEAR(bench.trials[1]->measurement.time_us, 140, 1e-3);
}

TEST(GpuEvaluator, WhatDiffersByOneBitFromTheBaseIsWrong) {
  Bench bench(BadIs(FakeFaultKind::kWrongBit));
  ASSERT_TRUE(bench.Measure({kBad}, Effort::kProbe, {kGood}).ok());
  EXPECT_EQ(bench.OutcomeOf(0), Outcome::kWrongResult);
  EXPECT_THAT(bench.trials[0]->measurement.error, HasSubstr("with the tuned routing"));
}

TEST(GpuEvaluator, WhatTheDeviceFoundRightIsNotReadBack) {
  Bench bench;
  const Cubin compare = Compile(bench.nvrtc.api(), CompareSource(), "sm_90a").value();
  ASSERT_TRUE(bench.evaluator->UseComparison(compare).ok());
  ASSERT_TRUE(bench.Measure({kGood}, Effort::kProbe).ok());
  const size_t before = fake_cuda::machine->downloaded_bytes;
  ASSERT_TRUE(bench.Measure({kOther}, Effort::kProbe).ok());
  EXPECT_EQ(bench.OutcomeOf(0), Outcome::kOk) << bench.trials[0]->measurement.error;
  EXPECT_EQ(fake_cuda::machine->downloaded_bytes - before, 8u) << "a word for each of two draws";
}

// One bit is within the tolerance: without a base a candidate is its family's first.
TEST(GpuEvaluator, TheFirstOfAFamilyIsHeldToTheTolerance) {
  for (const auto& [kind, outcome] :
       {std::pair(FakeFaultKind::kWrongBit, Outcome::kOk),
        std::pair(FakeFaultKind::kWrongOutput, Outcome::kWrongResult)}) {
    Bench bench(BadIs(kind));
    ASSERT_TRUE(bench.Measure({kBad}, Effort::kProbe).ok());
    EXPECT_EQ(bench.OutcomeOf(0), outcome) << bench.trials[0]->measurement.error;
  }
}

TEST(GpuEvaluator, AWrongBaseDoesNotCondemnTheOthers) {
  Bench bench(BadIs(FakeFaultKind::kWrongOutput));
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kProbe, {kBad}).ok());
  EXPECT_EQ(bench.OutcomeOf(0), Outcome::kOk) << bench.trials[0]->measurement.error;
  EXPECT_EQ(bench.OutcomeOf(1), Outcome::kOk) << bench.trials[1]->measurement.error;
}

TEST(GpuEvaluator, EveryFusionAndDtypeIsVerified) {
  Bench bench;
  for (const char* key :
       {"forward/bf16/gather/e4/t12x2/n40/k24", "forward/fp16/plain/e4/t12x2/n7/k5",
        "forward/bf16/scatter/e4/t12x2/n40/k24/r9", "forward/bf16/scatter+scale/e4/t12x2/n40/k24",
        "forward/bf16-fp32/gather/e4/t12x2/n40/k24/r20", "forward/bf16/plain/e1/t1x1/n1/k1",
        "forward/bf16/plain/e40/t3x2/n8/k8"}) {
    ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kProbe, {}, ProblemOf(key)).ok()) << key;
    EXPECT_EQ(bench.OutcomeOf(0), Outcome::kOk) << key << bench.trials[0]->measurement.error;
    EXPECT_EQ(bench.OutcomeOf(1), Outcome::kOk) << key << bench.trials[1]->measurement.error;
  }
}

TEST(GpuEvaluator, AfterAFaultNothingElseIsMeasured) {
  Bench bench(BadIs(FakeFaultKind::kIllegalAddress));
  const absl::Status status = bench.Measure({kGood, kBad, kOther}, Effort::kProbe);
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(bench.OutcomeOf(0), Outcome::kOk);
  EXPECT_EQ(bench.OutcomeOf(1), Outcome::kFault);
  EXPECT_FALSE(bench.trials[2].has_value());
}

// A fault that shows only after a hundred launches.
TEST(GpuEvaluator, AFaultInTheRoundsIsBlamedOnTheOneThatRan) {
  Bench bench(TimesOf(100, 100, 100));
  ASSERT_TRUE(bench.Measure({kGood, kBad, kOther}, Effort::kProbe).ok());
  fake_cuda::machine->script.faults = {
      {FakeFaultKind::kIllegalAddress, {"reference", kBad.config}, 0}};
  const absl::Status status = bench.Measure({kGood, kBad, kOther}, Effort::kFinal);
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_FALSE(bench.trials[0].has_value());
  ASSERT_TRUE(bench.trials[1].has_value());
  EXPECT_EQ(bench.OutcomeOf(1), Outcome::kFault);
  EXPECT_EQ(bench.steps.back(), (Step{Step::kCandidate, 1}));
}

// A watchdog between two steps has to allow for one launch only.
TEST(GpuEvaluator, EveryLaunchIsAStepThatIsToldBefore) {
  Bench bench(TimesOf(100, 100, 100));
  ASSERT_TRUE(bench.Measure({kGood, kOther}, Effort::kProbe, {kBad}).ok());
  std::vector<Step> distinct = bench.steps;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  EXPECT_THAT(distinct, ElementsAre(Step{Step::kSetUp, 0}, Step{Step::kBase, 0},
                                    Step{Step::kCandidate, 0}, Step{Step::kCandidate, 1}));
  EXPECT_GE(bench.steps.size(), bench.cuda.launches().size());
}

TEST(GpuEvaluator, AProblemThatDoesNotFitIsSaidAndTheNextOneIsMeasured) {
  Bench bench({.devices = {Fable75()}});
  const Problem huge = ProblemOf("forward/bf16/plain/e256/t16x2/n16384/k16384");
  const absl::Status status =
      bench.evaluator->Measure(huge, {}, Effort::kProbe, {},
                               {.on_step = [](Step) {}, .on_trial = [](size_t, const Trial&) {}});
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no room for the weights"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("128.0 GiB"));
}

TEST(GpuEvaluator, AKernelWithoutACubinIsNotMeasured) {
  Bench bench;
  std::optional<Trial> reported;
  ASSERT_TRUE(bench.evaluator
                  ->Measure(TinyProblem(), {&kGood, 1}, Effort::kProbe, {},
                            {.on_step = [](Step) {},
                             .on_trial = [&](size_t, const Trial& trial) { reported = trial; }})
                  .ok());
  ASSERT_TRUE(reported.has_value());
  EXPECT_EQ(reported->measurement.outcome, Outcome::kLoadError);
}

}  // namespace
}  // namespace moetune
