// A whole sweep over real child processes, on a fictional GPU where configs break in every way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/testing/silent_observer.h"
#include "tests/tuner/fake_workers.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

TEST(FaultySweep, EveryFaultCostsItsOwnConfigAndTheBestOfTheOthersWins) {
  // Each config of the family has a kernel of its own, which fails with it.
  const Family* family = FindFamily("reference").value();
  std::vector<Candidate> ranked = RankCandidates(TinyProblem(), Fiction100());
  std::erase_if(ranked, [&](const Candidate& candidate) { return candidate.family != family; });
  ASSERT_GT(ranked.size(), 30u);
  const std::map<FakeFaultKind, Outcome> kinds = {
      {FakeFaultKind::kCompileError, Outcome::kCompileError},
      {FakeFaultKind::kSlowCompile, Outcome::kTimeout},
      {FakeFaultKind::kSpills, Outcome::kSpills},
      {FakeFaultKind::kLoadError, Outcome::kLoadError},
      {FakeFaultKind::kIllegalAddress, Outcome::kFault},
      {FakeFaultKind::kHang, Outcome::kTimeout},
      {FakeFaultKind::kCrash, Outcome::kCrash},
      {FakeFaultKind::kWrongBit, Outcome::kWrongResult},
      {FakeFaultKind::kLostRow, Outcome::kWrongResult},
      {FakeFaultKind::kOverrun, Outcome::kWrongResult}};
  FakeScript script;
  std::map<std::string, Outcome> expected;  // by config
  size_t next = 2;
  for (const auto& [kind, outcome] : kinds) {
    const Config& config = ranked[next].config;
    expected[config.Text()] = outcome;
    const bool endless = kind == FakeFaultKind::kHang || kind == FakeFaultKind::kSlowCompile;
    script.faults.push_back({kind, {"reference", config}, endless ? -1.0 : 0.0});
    script.times.push_back({1, {"reference", config}});  // tempting
    next += 3;
  }
  const Candidate& best = ranked[21];
  script.times.push_back({50, {"reference", best.config}});
  script.times.push_back({100, {}});
  const FakeWorkers workers(script);
  auto evaluator = WorkerEvaluator::Start({.worker = workers.command(),
                                           .cubin_folder = workers.cubins(),
                                           .compile_processes = 2,
                                           .compile_limit = absl::Milliseconds(500),
                                           .watchdog = absl::Milliseconds(500)});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
  SilentObserver observer;
  const std::vector<Problem> problems = {TinyProblem(12), TinyProblem(30)};
  const auto winners =
      RunSweep(problems, {.families = {family}, .budget = 32}, *store, **evaluator, observer);
  ASSERT_TRUE(winners.ok()) << winners.status();
  ASSERT_EQ(winners->size(), 2u);
  for (const Winner& winner : *winners) {
    EXPECT_EQ(winner.family, family->name);
    EXPECT_EQ(winner.config, best.config);
    EXPECT_NEAR(winner.time_us, 50, 1e-3);
  }

  std::map<std::string, Outcome> failed;
  const ScanResult scan = store->Scan(0, kMeasurements).value();
  for (const Record& record : scan.records) {
    const auto& m = std::get<Measurement>(record.row);
    if (m.outcome == Outcome::kOk) continue;
    EXPECT_EQ(m.problem, problems[0]) << "tried again: " << m.config.Text();
    EXPECT_NE(m.error, "");
    failed[m.config.Text()] = m.outcome;
  }
  EXPECT_EQ(failed, expected);
  EXPECT_EQ((*evaluator)->usage().restarts, 3) << "illegal address, hang, crash";
}

}  // namespace
}  // namespace moetune
