// What the tests of the sweep share: a store in memory, a fake evaluator, and what was observed.
#ifndef MOETUNE_TESTS_TUNER_SWEEP_FIXTURE_H_
#define MOETUNE_TESTS_TUNER_SWEEP_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/testing/fake_evaluator.h"
#include "tests/testing/records.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep.h"

namespace moetune {

class Recorder : public SweepObserver {
 public:
  void OnProblem(size_t, size_t, const Problem&, size_t trials) override {
    planned.push_back(trials);
  }
  void OnTrial(const Measurement&, bool from_store) override {
    ++(from_store ? recalled : measured);
  }
  void OnResult(const Problem&, const absl::StatusOr<Winner>& winner, bool from_store) override {
    results.push_back(winner);
    winners_recalled += from_store;
  }

  std::vector<size_t> planned;
  int measured = 0;
  int recalled = 0;
  int winners_recalled = 0;
  std::vector<absl::StatusOr<Winner>> results;
};

class SweepTest : public ::testing::Test {
 protected:
  std::vector<Winner> Run(const std::vector<Problem>& problems, const SweepOptions& options = {}) {
    recorder_ = Recorder();
    evaluator_.calls.clear();
    auto winners = RunSweep(problems, options, *store_, evaluator_, recorder_);
    EXPECT_TRUE(winners.ok()) << winners.status();
    return winners.ok() ? *std::move(winners) : std::vector<Winner>();
  }

  std::vector<Measurement> Stored() {
    std::vector<Measurement> rows;
    const ScanResult scan = store_->Scan(0).value();
    for (const Record& record : scan.records) {
      if (const auto* row = std::get_if<Measurement>(&record.row)) rows.push_back(*row);
    }
    return rows;
  }

  // How often each (problem, config, effort) stands in the store.
  int MostRowsOfOneTrial() {
    std::map<std::string, int> rows;
    int most = 0;
    for (const Measurement& m : Stored()) {
      const std::string name = ProblemKey(m.problem) + " " + m.family + " " + m.config.Text() +
                               " " + std::string(EffortName(m.effort));
      most = std::max(most, ++rows[name]);
    }
    return most;
  }

  const Problem problem_ = SmallProblem(64);
  const std::vector<Candidate> ranked_ = RankCandidates(problem_, Fiction100());
  FakeEvaluator evaluator_;
  Recorder recorder_;
  std::unique_ptr<Store> store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TUNER_SWEEP_FIXTURE_H_
