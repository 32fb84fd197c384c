// A sweep over a family with faults (faulty/), with real worker processes: each fault costs its
// own configs, once, and the best of the others wins. This program is its own worker, and the one
// that knows the family. On a real GPU, about 40 s, most of them waiting for what never ends; and
// everywhere on a scripted driver.
#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "absl/strings/str_format.h"
#include "cli/shared_options.h"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "runtime/compiler.h"
#include "tests/testing/fake_cuda.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/records.h"
#include "tests/testing/silent_observer.h"
#include "tests/testing/temp_folder.h"
#include "tuner/sweep.h"
#include "tuner/worker.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

constexpr const char* kScriptedWorker = "scripted-worker";

// As faulty.cuh has it.
const std::map<int64_t, Outcome> kFaults = {
    {0, Outcome::kFault}, {4, Outcome::kTimeout}, {8, Outcome::kWrongResult}};

Outcome ExpectedOutcome(const Candidate& candidate) {
  const auto fault = kFaults.find(candidate.config.Get("fault", -1));
  return fault == kFaults.end() ? Outcome::kOk : fault->second;
}

class FaultyFamily : public ::testing::Test {
 protected:
  // Skips where the worker finds no GPU.
  void StartOn(WorkerCommand worker, absl::Duration watchdog) {
    auto evaluator = WorkerEvaluator::Start({.worker = std::move(worker),
                                             .cubin_folder = folder_.File("cubins"),
                                             .compile_processes = 2,
                                             .watchdog = watchdog});
    if (absl::IsFailedPrecondition(evaluator.status())) {
      GTEST_SKIP() << evaluator.status().message();
    }
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    evaluator_ = *std::move(evaluator);
  }

  std::vector<Winner> Sweep() {
    SilentObserver observer;
    auto winners = RunSweep(problems_, {.families = {faulty_}}, *store_, *evaluator_, observer);
    EXPECT_TRUE(winners.ok()) << winners.status();
    return winners.ok() ? *std::move(winners) : std::vector<Winner>();
  }

  std::vector<Measurement> Stored() {
    std::vector<Measurement> rows;
    const ScanResult scan = store_->Scan(0, kMeasurements).value();
    for (const Record& record : scan.records) {
      rows.push_back(std::get<Measurement>(record.row));
    }
    return rows;
  }

  void ExpectOneRowOfEachFaultyConfig() {
    std::map<std::string, int> failures;  // of each config, in all problems
    for (const Measurement& m : Stored()) {
      const Outcome expected = ExpectedOutcome({FindFamily(m.family).value(), m.config});
      EXPECT_EQ(m.outcome, expected) << m.family << " " << m.config.Text() << ": " << m.error;
      if (m.outcome == Outcome::kOk) continue;
      EXPECT_NE(m.error, "");
      if (++failures[m.config.Text()] == 1) {
        std::cout << absl::StrFormat("%-22s %-12s %s\n", m.config.Text(), OutcomeName(m.outcome),
                                     m.error);
      }
    }
    EXPECT_EQ(failures.size(), 2 * kFaults.size()) << "two numbers of threads each";
    for (const auto& [config, count] : failures) EXPECT_EQ(count, 1) << config << " was retried";
  }

  void ExpectTheSweepSurvives() {
    const std::vector<Winner> winners = Sweep();
    const WorkerEvaluator::Usage usage = evaluator_->usage();
    EXPECT_EQ(winners.size(), problems_.size());
    for (const Winner& winner : winners) {
      const Candidate candidate = {FindFamily(winner.family).value(), winner.config};
      EXPECT_EQ(ExpectedOutcome(candidate), Outcome::kOk) << winner.config.Text();
      std::cout << absl::StrFormat("%s: %s %s, %.1f us; %s\n", ProblemKey(winner.problem),
                                   winner.family, winner.config.Text(), winner.time_us,
                                   winner.reason);
    }
    ExpectOneRowOfEachFaultyConfig();
    std::cout << absl::StrFormat("%.1f s, %d restarts of the timing process\n",
                                 absl::ToDoubleSeconds(usage.total), usage.restarts);
    // Each of the four that end a process may do so twice: when others are to be compared with it,
    // and when its own turn has come.
    EXPECT_GE(usage.restarts, 4);
    EXPECT_LE(usage.restarts, 8);

    // A second sweep has nothing left to try, least of all what failed.
    const size_t rows = Stored().size();
    EXPECT_EQ(Sweep().size(), problems_.size());
    EXPECT_EQ(Stored().size(), rows);
    EXPECT_EQ(evaluator_->usage().restarts, usage.restarts);
  }

  const std::vector<Problem> problems_ = {ProblemOf("forward/bf16/plain/e4/t12x2/n200/k72"),
                                          ProblemOf("forward/bf16/plain/e4/t30x2/n200/k72")};
  const Family* const faulty_ = FindFamily("faulty").value();
  const TempFolder folder_;
  const std::unique_ptr<Store> store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
  std::unique_ptr<WorkerEvaluator> evaluator_;
};

TEST_F(FaultyFamily, CompilesLikeAnyOther) {
  const auto nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) GTEST_SKIP() << nvrtc.status().message();
  for (const int64_t fault : {0, 1, 4, 8}) {
    const Candidate candidate = {faulty_, {{"fault", fault}, {"threads", 128}}};
    const auto cubin = Compile(**nvrtc, MakeSource(problems_[0].shape, candidate), "sm_90a");
    ASSERT_TRUE(cubin.ok()) << cubin.status();
    EXPECT_EQ(cubin->facts.spill_bytes + cubin->facts.stack_bytes, 0) << fault;
  }
}

TEST_F(FaultyFamily, CostsItsFaultyConfigsAndNoOthersOnTheGpu) {
  StartOn(WorkerProgram({}).value(), absl::Seconds(8));
  if (evaluator_) ExpectTheSweepSurvives();
}

TEST_F(FaultyFamily, CostsItsFaultyConfigsAndNoOthersOnAScriptedDriver) {
  const auto faulty = [](int64_t fault) { return FakeMatch{"faulty", {{"fault", fault}}}; };
  const FakeScript script = {.faults = {{FakeFaultKind::kIllegalAddress, faulty(0)},
                                        {FakeFaultKind::kHang, faulty(4), -1},
                                        {FakeFaultKind::kWrongOutput, faulty(8)}}};
  WriteFile(folder_.File("script"), WriteFakeScript(script));
  const std::string self = WorkerProgram({}).value().front();
  StartOn({self, kScriptedWorker, folder_.File("script")}, absl::Seconds(1));
  if (evaluator_) ExpectTheSweepSurvives();
}

int RunScriptedWorker(const char* path) {
  const FakeScript script = ReadFakeScript(ReadFile(path)).value();
  const FakeNvrtc nvrtc(script);
  const FakeCuda cuda(script);
  // Device memory is host memory here.
  const Policy policy = {.flush_bytes = 4096, .flush_l2_times = 0, .idle_gap = 0};
  return RunWorker({.driver = &cuda.api(), .nvrtc = &nvrtc.api(), .policy = policy});
}

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "worker") return moetune::RunWorker({});
  if (argc == 3 && std::string_view(argv[1]) == moetune::kScriptedWorker) {
    return moetune::RunScriptedWorker(argv[2]);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
