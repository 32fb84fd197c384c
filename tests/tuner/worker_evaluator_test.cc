#include "tuner/worker_evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "runtime/nvml.h"
#include "tests/testing/eventually.h"
#include "tests/testing/fake_machine.h"
#include "tests/tuner/fake_workers.h"
#include "tuner/search_strategy.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<WorkerEvaluator> StartOn(const FakeWorkers& workers,
                                         absl::Duration watchdog = absl::Seconds(10),
                                         absl::Duration compile_limit = absl::Seconds(10)) {
  auto evaluator = WorkerEvaluator::Start({.worker = workers.command(),
                                           .cubin_folder = workers.cubins(),
                                           .compile_processes = 2,
                                           .compile_limit = compile_limit,
                                           .watchdog = watchdog});
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  return *std::move(evaluator);
}

int CubinsIn(const std::string& folder) {
  std::error_code none_yet;
  const std::filesystem::directory_iterator entries(folder, none_yet);
  return static_cast<int>(std::count_if(begin(entries), end(entries), [](const auto& entry) {
    return entry.path().extension() == ".cubin";
  }));
}

Trial MeasureOne(WorkerEvaluator& evaluator, const Candidate& candidate,
                 Effort effort = Effort::kProbe) {
  auto trials = evaluator.Measure(TinyProblem(), {&candidate, 1}, effort);
  EXPECT_TRUE(trials.ok()) << trials.status();
  return trials->front();
}

TEST(WorkerEvaluator, ATrialIsNamedInFull) {
  const FakeWorkers workers({.times = {{42, {}}}});
  const auto evaluator = StartOn(workers);
  EXPECT_EQ(evaluator->device().name, Fiction100().name);
  const Trial trial = MeasureOne(*evaluator, kGood);
  const Measurement& m = trial.measurement;
  EXPECT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(m.problem, TinyProblem());
  EXPECT_EQ(m.device, evaluator->device());
  EXPECT_EQ(m.environment.nvrtc, "13.0");
  EXPECT_THAT(m.environment.driver, HasSubstr("CUDA"));
  EXPECT_EQ(m.environment.kernel_fingerprint, FamilyFingerprint(*kGood.family));
  EXPECT_EQ(m.family, "reference");
  EXPECT_EQ(m.config, kGood.config);
  EXPECT_EQ(m.effort, Effort::kProbe);
  EXPECT_NEAR(m.time_us, 42, 1e-3);
  EXPECT_EQ(m.cubin_sha256.size(), 64u);
  EXPECT_GT(m.measured_at, 0);
  EXPECT_GT(trial.facts.registers, 0);
  EXPECT_GT(trial.facts.resident_ctas, 0);
}

TEST(WorkerEvaluator, WhatAFinalTakesBesideTheTimeComesFromTheChild) {
  const FakeWorkers workers({.times = {{42, {}}}});
  const auto evaluator = StartOn(workers);
  const Measurement m = MeasureOne(*evaluator, kGood, Effort::kFinal).measurement;
  EXPECT_NEAR(m.hot_us, 42, 1e-3);
  EXPECT_NEAR(m.sm_clock_mhz, fake_cuda::kSmClockMhz, 0.1);
}

TEST(WorkerEvaluator, ThatNvmlIsMissingIsANoteAndNoError) {
  const FakeWorkers workers;
  const auto evaluator = StartOn(workers);
  if (DriverVersionText().empty()) {
    EXPECT_THAT(evaluator->notes(), ElementsAre(HasSubstr("NVML does not answer")));
  } else {
    EXPECT_THAT(evaluator->notes(), IsEmpty());
  }
  EXPECT_EQ(MeasureOne(*evaluator, kGood).measurement.outcome, Outcome::kOk);
}

// Every way in which a candidate can fail, what it is recorded as, and what the reason speaks of.
struct Failure {
  FakeFaultKind fault;
  Outcome outcome;
  const char* reason;
};

class WorkerFailure : public ::testing::TestWithParam<Failure> {};

TEST_P(WorkerFailure, CostsOneCandidateAndIsRecordedWithItsReason) {
  const Failure& failure = GetParam();
  const double seconds = failure.fault == FakeFaultKind::kHang ? -1 : 0;
  const FakeWorkers workers(BadIs(failure.fault, seconds));
  const auto evaluator = StartOn(workers, absl::Milliseconds(500));
  const auto before = MeasureOne(*evaluator, kGood);
  EXPECT_EQ(before.measurement.outcome, Outcome::kOk) << before.measurement.error;
  const auto bad = MeasureOne(*evaluator, kBad);
  EXPECT_EQ(bad.measurement.outcome, failure.outcome) << bad.measurement.error;
  EXPECT_THAT(bad.measurement.error, HasSubstr(failure.reason));
  const auto after = MeasureOne(*evaluator, kOther);
  EXPECT_EQ(after.measurement.outcome, Outcome::kOk) << after.measurement.error;
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, WorkerFailure,
    ::testing::Values(Failure{FakeFaultKind::kCompileError, Outcome::kCompileError,
                              "the script refuses it"},
                      Failure{FakeFaultKind::kSpills, Outcome::kSpills, "256 bytes of spills"},
                      Failure{FakeFaultKind::kSerialised, Outcome::kSerialised, "wgmma"},
                      Failure{FakeFaultKind::kLoadError, Outcome::kLoadError, "cannot load"},
                      Failure{FakeFaultKind::kLaunchError, Outcome::kLoadError, "cannot launch"},
                      Failure{FakeFaultKind::kIllegalAddress, Outcome::kFault, "illegal"},
                      Failure{FakeFaultKind::kHang, Outcome::kTimeout, "no sign of life"},
                      Failure{FakeFaultKind::kCrash, Outcome::kCrash, "signal 6"},
                      Failure{FakeFaultKind::kWrongOutput, Outcome::kWrongResult, "in place of"},
                      Failure{FakeFaultKind::kWrongBit, Outcome::kWrongResult, "in place of"},
                      Failure{FakeFaultKind::kLostRow, Outcome::kWrongResult, "row"},
                      Failure{FakeFaultKind::kOverrun, Outcome::kWrongResult, "wrote past"}),
    [](const auto& test) {
      return std::string(OutcomeName(test.param.outcome)) + "_" + std::to_string(test.index);
    });

TEST(WorkerEvaluator, AFaultInTheFinalTakesOnlyItsOwnCandidateFromIt) {
  for (FakeFaultKind kind : {FakeFaultKind::kIllegalAddress, FakeFaultKind::kCrash}) {
    const FakeWorkers workers(BadIs(kind));
    const auto evaluator = StartOn(workers);
    const std::vector<Candidate> finalists = {kGood, kBad, kOther};
    const auto trials = evaluator->Measure(TinyProblem(), finalists, Effort::kFinal);
    ASSERT_TRUE(trials.ok()) << trials.status();
    EXPECT_EQ((*trials)[0].samples_us.size(), 25u);
    EXPECT_NE((*trials)[1].measurement.outcome, Outcome::kOk);
    EXPECT_EQ((*trials)[2].samples_us.size(), 25u);
    EXPECT_EQ(evaluator->usage().restarts, 1);
  }
}

// The base is what the model likes best: here it breaks whoever loads it.
TEST(WorkerEvaluator, ABaseThatBreaksTheChildIsReplacedAndBlamesNobody) {
  const Candidate base = RankCandidates(TinyProblem(), Fiction100()).front();
  for (FakeFaultKind kind :
       {FakeFaultKind::kIllegalAddress, FakeFaultKind::kCrash, FakeFaultKind::kCompileError}) {
    const FakeWorkers workers({.faults = {{kind, {"reference", base.config}, 0}}});
    const auto evaluator = StartOn(workers);
    EXPECT_EQ(MeasureOne(*evaluator, kBad).measurement.outcome, Outcome::kOk);
    EXPECT_EQ(MeasureOne(*evaluator, kOther).measurement.outcome, Outcome::kOk);
  }
}

TEST(WorkerEvaluator, WhatCandidatesAreVerifiedAgainstIsCompiledWithThem) {
  const std::vector<Candidate> ranked = RankCandidates(TinyProblem(), Fiction100());
  const Family* family = FindFamily("sm80_mma").value();
  const Candidate last =
      *std::ranges::find(ranked.rbegin(), ranked.rend(), family, &Candidate::family);
  for (const bool soon : {true, false}) {
    const FakeWorkers workers;
    const auto evaluator = StartOn(workers);
    const int before = CubinsIn(workers.cubins());
    if (soon) {
      evaluator->Prepare(TinyProblem(), {&last, 1});
    } else {
      evaluator->Foresee(TinyProblem(), {&last, 1});
    }
    EXPECT_TRUE(Eventually([&] { return CubinsIn(workers.cubins()) == before + 3; }))
        << "its own, its family's base and the reference's";
  }
}

TEST(WorkerEvaluator, AProblemThatDoesNotFitIsSaidAndTheChildGoesOn) {
  const FakeWorkers workers({.devices = {Fable75()}});
  const auto evaluator = StartOn(workers);
  const Problem huge = ProblemOf("forward/bf16/plain/e256/t16x2/n16384/k16384");
  EXPECT_TRUE(
      absl::IsResourceExhausted(evaluator->Measure(huge, {&kGood, 1}, Effort::kProbe).status()));
  EXPECT_EQ(MeasureOne(*evaluator, kGood).measurement.outcome, Outcome::kOk);
  EXPECT_EQ(evaluator->usage().restarts, 0);
}

TEST(WorkerEvaluator, AProblemThatCannotBeSetUpInTimeIsSaidAndTheOthersGoOn) {
  const FakeWorkers workers;
  const auto evaluator = StartOn(workers, absl::Milliseconds(500));
  const Problem slow = ProblemOf("forward/bf16/plain/e1024/t1000000x1/n8/k8/softmax");
  const absl::Status status = evaluator->Measure(slow, {&kGood, 1}, Effort::kProbe).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(ProblemKey(slow)));
  EXPECT_THAT(std::string(status.message()), HasSubstr("took longer than 500ms"));
  EXPECT_EQ(evaluator->usage().restarts, 2) << "it was tried three times";
  EXPECT_EQ(MeasureOne(*evaluator, kGood).measurement.outcome, Outcome::kOk);
  const auto again = [&] { return evaluator->Measure(slow, {&kGood, 1}, Effort::kProbe).status(); };
  EXPECT_TRUE(absl::IsResourceExhausted(again()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(again())) << "two in a row: the device sets up none";
}

TEST(WorkerEvaluator, AHistogramReachesTheChild) {
  const FakeWorkers workers;
  const std::vector<int64_t> counts = {5, 0, 9, 10};
  const uint32_t hash = HistogramHash(counts);
  auto evaluator = WorkerEvaluator::Start({.worker = workers.command(),
                                           .cubin_folder = workers.cubins(),
                                           .histograms = {{hash, counts}}});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  Problem problem = TinyProblem();
  problem.routing = {kCounts, hash};
  const auto trials = (*evaluator)->Measure(problem, {&kGood, 1}, Effort::kProbe);
  ASSERT_TRUE(trials.ok()) << trials.status();
  EXPECT_EQ(trials->front().measurement.outcome, Outcome::kOk);
  problem.routing.counts_hash ^= 1;
  EXPECT_TRUE(absl::IsInvalidArgument(
      (*evaluator)->Measure(problem, {&kGood, 1}, Effort::kProbe).status()));
}

TEST(WorkerEvaluator, WhatOneHasCompiledIsThereForAnotherThatSharesItsPool) {
  const FakeWorkers workers;
  const auto first = StartOn(workers);
  const auto second = WorkerEvaluator::Start({.worker = workers.command(),
                                              .cubin_folder = workers.cubins(),
                                              .device = 1,
                                              .pool = first->pool()});
  ASSERT_TRUE(second.ok()) << second.status();
  const double once = MeasureOne(*first, kGood).measurement.compile_ms;
  EXPECT_EQ(MeasureOne(**second, kGood).measurement.compile_ms, once);
  EXPECT_GT(absl::Milliseconds(once), absl::ZeroDuration());
}

TEST(WorkerEvaluator, AMachineWithoutTheGpuIsAnErrorAtTheStart) {
  const FakeWorkers workers;
  const auto evaluator = WorkerEvaluator::Start(
      {.worker = workers.command(), .cubin_folder = workers.cubins(), .device = 7});
  EXPECT_THAT(std::string(evaluator.status().message()), HasSubstr("no CUDA device 7"));
}

TEST(WorkerEvaluator, ChildrenThatCannotStartAnyMoreEndTheMeasure) {
  FakeWorkers workers(BadIs(FakeFaultKind::kCrash));
  const auto evaluator = StartOn(workers);
  EXPECT_EQ(MeasureOne(*evaluator, kGood).measurement.outcome, Outcome::kOk);
  EXPECT_EQ(MeasureOne(*evaluator, kBad).measurement.outcome, Outcome::kCrash);
  WriteFile(workers.folder.File("script"), "nonsense");
  const auto trials = evaluator->Measure(TinyProblem(), {&kGood, 1}, Effort::kProbe);
  EXPECT_THAT(std::string(trials.status().message()), HasSubstr("nonsense"));
}

}  // namespace
}  // namespace moetune
