// A sweep on several devices at once: their threads share the store, the history and the observer.
#include "tuner/sweep.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "kernels/registry.h"
#include "tests/testing/fake_evaluator.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"
#include "tests/tuner/fake_workers.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

// Told from all threads.
class Counter : public SweepObserver {
 public:
  void OnProblem(size_t, size_t, const Problem&, size_t) override { ++problems; }
  void OnTrial(const Measurement&, bool) override { ++trials; }
  void OnResult(const Problem&, const absl::StatusOr<Winner>&, bool) override { ++results; }

  std::atomic<int> problems = 0;
  std::atomic<int> trials = 0;
  std::atomic<int> results = 0;
};

// Kernels of 256 threads fail: whoever comes first says so to all.
Outcome OutcomeOf(const Problem&, const Candidate& candidate) {
  const bool fails = candidate.config.Get("threads", 0) == 256;
  return fails ? Outcome::kWrongResult : Outcome::kOk;
}

TEST(ConcurrentSweep, EveryTrialIsMadeOnceAndEveryProblemWon) {
  std::vector<Problem> problems;
  for (int64_t tokens = 1; tokens <= 16; ++tokens) problems.push_back(SmallProblem(tokens));
  std::vector<FakeEvaluator> devices(4);
  std::vector<Evaluator*> evaluators;
  for (FakeEvaluator& device : devices) {
    device.outcome = OutcomeOf;
    evaluators.push_back(&device);
  }
  const TempFolder folder;
  const auto store = OpenStore(folder.File("sweep.db"), OpenMode::kReadWrite).value();
  const SweepOptions options = {
      .strategy = "auto", .families = {FindFamily("reference").value()}, .budget = 20};
  Counter observer;
  const auto winners = RunSweep(problems, options, *store, evaluators, observer);
  ASSERT_TRUE(winners.ok()) << winners.status();
  ASSERT_EQ(winners->size(), problems.size());
  EXPECT_EQ(observer.problems, 16);
  EXPECT_EQ(observer.results, 16);

  std::set<std::string> trials;
  int rows = 0;
  const ScanResult scan = store->Scan(0, kMeasurements).value();
  for (const Record& record : scan.records) {
    const auto& m = std::get<Measurement>(record.row);
    ++rows;
    trials.insert(ProblemKey(m.problem) + m.family + m.config.Text() +
                  std::string(EffortName(m.effort)));
  }
  EXPECT_EQ(static_cast<int>(trials.size()), rows) << "none was made twice";
  EXPECT_EQ(observer.trials, rows);
  for (const FakeEvaluator& device : devices) EXPECT_FALSE(device.calls.empty());
}

TEST(ConcurrentSweep, ProcessesOfTwoDevicesWorkSideBySide) {
  FakeScript script = BadIs(FakeFaultKind::kIllegalAddress);
  script.devices = {Fiction100(), Fiction100()};
  const FakeWorkers workers(script);
  std::vector<std::unique_ptr<WorkerEvaluator>> devices;
  std::vector<Evaluator*> evaluators;
  for (const int device : {0, 1}) {
    devices.push_back(WorkerEvaluator::Start({.worker = workers.command(),
                                              .cubin_folder = workers.cubins(),
                                              .device = device,
                                              .compile_processes = 2})
                          .value());
    evaluators.push_back(devices.back().get());
  }
  const std::vector<Problem> problems = {TinyProblem(8), TinyProblem(12), TinyProblem(20),
                                         TinyProblem(30)};
  const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
  const SweepOptions options = {.families = {kBad.family}};
  Counter observer;
  const auto winners = RunSweep(problems, options, *store, evaluators, observer);
  ASSERT_TRUE(winners.ok()) << winners.status();
  EXPECT_EQ(winners->size(), problems.size());
  int restarts = 0;
  for (const auto& device : devices) restarts += device->usage().restarts;
  EXPECT_GE(restarts, 1) << "its faulty config was tried";
  EXPECT_LE(restarts, 4) << "as itself and as what others are compared with, on each device once";
}

}  // namespace
}  // namespace moetune
