#include "tuner/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "kernels/status_macros.h"
#include "tests/testing/fake_evaluator.h"
#include "tests/testing/records.h"
#include "tuner/search_strategy.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

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

TEST_F(SweepTest, FindsTheFastestOfAllConfigs) {
  const Candidate& best = ranked_[ranked_.size() / 2];
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == best ? 50.0 : 100.0;
  };
  const std::vector<Winner> winners = Run({problem_});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].config, best.config);
  EXPECT_DOUBLE_EQ(winners[0].time_us, 50);
  EXPECT_DOUBLE_EQ(winners[0].default_time_us, 100);
  EXPECT_EQ(winners[0].default_config, ranked_[0].config);
  EXPECT_FALSE(winners[0].estimated);
  EXPECT_THAT(winners[0].reason, HasSubstr("2.00x"));
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), ranked_.size());
  EXPECT_EQ(recorder_.planned, std::vector<size_t>{ranked_.size()});
}

TEST_F(SweepTest, TheStoreHoldsEveryTrialTheWinnerAndTheSweepAroundThem) {
  Run({problem_}, {.seed = 9, .spec_text = "the spec", .version = "1.2.3"});
  const ScanResult scan = store_->Scan(0).value();
  const auto* started = std::get_if<Sweep>(&scan.records.front().row);
  const auto* finished = std::get_if<Sweep>(&scan.records.back().row);
  ASSERT_TRUE(started != nullptr && finished != nullptr);
  EXPECT_EQ(started->state, SweepState::kStarted);
  EXPECT_EQ(finished->state, SweepState::kFinished);
  EXPECT_EQ(started->id, finished->id);
  EXPECT_EQ(started->spec, "the spec");
  EXPECT_EQ(started->seed, 9u);
  EXPECT_EQ(started->version, "1.2.3");
  for (const Measurement& m : Stored()) EXPECT_EQ(m.sweep, started->id);
  EXPECT_EQ(static_cast<int>(Stored().size()), recorder_.measured);
  EXPECT_EQ(MostRowsOfOneTrial(), 1);
  const auto* winner = std::get_if<Winner>(&scan.records[scan.records.size() - 2].row);
  ASSERT_NE(winner, nullptr);
  EXPECT_EQ(winner->sweep, started->id);
}

TEST_F(SweepTest, TheFinalIsOneMeasureOfTheFinalistsAndTheDefault) {
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    const auto at = std::find(ranked_.begin(), ranked_.end(), candidate) - ranked_.begin();
    return 100.0 - 0.5 * static_cast<double>(at % 40);  // all within the probe's rule
  };
  Run({problem_}, {.finalists = 5});
  std::vector<FakeEvaluator::Call> finals;
  for (const auto& call : evaluator_.calls) {
    if (call.effort == Effort::kFinal) finals.push_back(call);
  }
  ASSERT_EQ(finals.size(), 1u);
  EXPECT_EQ(finals[0].candidates.size(), 6u);
  EXPECT_EQ(finals[0].candidates[0], ranked_[0]);
  EXPECT_EQ(evaluator_.Measured(Effort::kShort).size(), 32u) << "the short list";
}

TEST_F(SweepTest, HopelessConfigsAreNotMeasuredAgain) {
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == ranked_[1] ? 100.0 : 160.0;
  };
  Run({problem_});
  EXPECT_EQ(evaluator_.Measured(Effort::kShort).size(), 0u);
  EXPECT_EQ(evaluator_.Measured(Effort::kFinal).size(), 2u) << "the best and the default";
}

TEST_F(SweepTest, ABudgetBoundsTheTrialsAndTheDefaultIsAlwaysAmongThem) {
  Run({problem_}, {.strategy = "random", .budget = 7});
  const std::vector<Candidate> probed = evaluator_.Measured(Effort::kProbe);
  EXPECT_EQ(probed.size(), 7u);
  EXPECT_EQ(probed[0], ranked_[0]);
  EXPECT_EQ(recorder_.planned, std::vector<size_t>{7});
}

TEST_F(SweepTest, CompilesRunAheadOfTheTrials) {
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    if (candidate == ranked_[0]) {
      EXPECT_GE(evaluator_.prepared.size(), 8u);
    }
    return Outcome::kOk;
  };
  Run({problem_}, {.look_ahead = 8});
  EXPECT_EQ(evaluator_.prepared.size(), ranked_.size()) << "each once";
}

TEST_F(SweepTest, AFailureIsATrialAndTheSweepGoesOn) {
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    return candidate == ranked_[3] ? Outcome::kFault : Outcome::kOk;
  };
  ASSERT_EQ(Run({problem_}).size(), 1u);
  const std::vector<Measurement> rows = Stored();
  const auto failed = std::find_if(rows.begin(), rows.end(),
                                   [](const Measurement& m) { return m.outcome != Outcome::kOk; });
  ASSERT_NE(failed, rows.end());
  EXPECT_EQ(failed->config, ranked_[3].config);
  EXPECT_EQ(failed->error, "as the test says");
}

TEST_F(SweepTest, AKernelThatFailedIsNotTriedForTheNextProblems) {
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    return candidate.config == ranked_[3].config ? Outcome::kTimeout : Outcome::kOk;
  };
  Run({problem_, SmallProblem(65), SmallProblem(66)});
  int tries = 0;
  for (const Candidate& candidate : evaluator_.Measured(Effort::kProbe)) {
    tries += candidate.config == ranked_[3].config;
  }
  EXPECT_EQ(tries, 1);
}

TEST_F(SweepTest, AFinalistThatFailsInTheFinalCannotWin) {
  const Candidate& best = ranked_[2];
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == best ? 10.0 : 100.0;
  };
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    const bool in_final = evaluator_.calls.back().effort == Effort::kFinal;
    return candidate == best && in_final ? Outcome::kFault : Outcome::kOk;
  };
  const std::vector<Winner> winners = Run({problem_});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].config, ranked_[0].config);
  EXPECT_EQ(Run({problem_}).size(), 1u);
  EXPECT_EQ(recorder_.measured, 0) << "the failure is remembered";
}

TEST_F(SweepTest, WhereTheDefaultFailedTheNextBestStandsInAndTheReasonSaysSo) {
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    return candidate == ranked_[0] ? Outcome::kWrongResult : Outcome::kOk;
  };
  const std::vector<Winner> winners = Run({problem_});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].default_config, ranked_[1].config);
  EXPECT_THAT(winners[0].reason, HasSubstr(ranked_[0].config.Text()));
}

TEST_F(SweepTest, AProblemWithoutAWinnerDoesNotEndTheSweep) {
  evaluator_.outcome = [&](const Problem& problem, const Candidate&) {
    return problem == problem_ ? Outcome::kWrongResult : Outcome::kOk;
  };
  Problem other = problem_;  // of another kind: its kernels have not failed
  other.shape.dtype = other.shape.output = Dtype::kFp16;
  const std::vector<Winner> winners = Run({problem_, other});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].problem, other);
  EXPECT_THAT(std::string(recorder_.results[0].status().message()), HasSubstr("none of"));
}

TEST_F(SweepTest, AProblemThatDoesNotFitTheDeviceIsPassedOver) {
  evaluator_.failure = [&](const Problem& problem, Effort) -> absl::Status {
    if (problem.tokens == 64) return absl::ResourceExhaustedError("no room");
    return absl::OkStatus();
  };
  EXPECT_EQ(Run({problem_, SmallProblem(65)}).size(), 1u);
  EXPECT_THAT(std::string(recorder_.results[0].status().message()), HasSubstr("no room"));
}

TEST_F(SweepTest, AnEvaluatorThatCannotGoOnEndsTheSweepWithItsError) {
  evaluator_.failure = [](const Problem&, Effort) {
    return absl::FailedPreconditionError("the card fell off the bus");
  };
  const auto winners = RunSweep({problem_}, {}, *store_, evaluator_, recorder_);
  EXPECT_THAT(std::string(winners.status().message()), HasSubstr("fell off the bus"));
}

TEST_F(SweepTest, ADeviceThatNoFamilyRunsOnIsSaid) {
  evaluator_.spec = Relic30();
  EXPECT_TRUE(Run({problem_}).empty());
  EXPECT_THAT(std::string(recorder_.results[0].status().message()), HasSubstr("Relic 30"));
}

TEST_F(SweepTest, ATimeLimitLetsTheRunningProblemEndWithAWinner) {
  absl::Time now = absl::UnixEpoch();
  evaluator_.outcome = [&](const Problem&, const Candidate&) {
    now += absl::Seconds(1);
    return Outcome::kOk;
  };
  const std::vector<Winner> winners = Run(
      {problem_, SmallProblem(65)}, {.time_limit = absl::Seconds(5), .now = [&] { return now; }});
  EXPECT_EQ(winners.size(), 1u);
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), 5u);
  now = absl::UnixEpoch();
  EXPECT_EQ(Run({problem_, SmallProblem(65)}).size(), 2u) << "the next run does the rest";
  EXPECT_EQ(recorder_.recalled, 5);
}

TEST_F(SweepTest, AnEstimateIsAWinnerThatSaysSo) {
  evaluator_.estimates = true;
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == ranked_[5] ? 50.0 : 100.0;
  };
  const std::vector<Winner> winners = Run({problem_});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_TRUE(winners[0].estimated);
  EXPECT_EQ(winners[0].config, ranked_[5].config);
  EXPECT_EQ(Stored().size(), ranked_.size()) << "one row for each, whatever the efforts asked";
}

TEST_F(SweepTest, ASecondRunTakesEverythingFromTheStore) {
  const std::vector<Winner> first = Run({problem_, SmallProblem(65)});
  const std::vector<Winner> second = Run({problem_, SmallProblem(65)}, {.seed = 99});
  EXPECT_EQ(second, first);
  EXPECT_EQ(recorder_.measured, 0);
  EXPECT_EQ(recorder_.winners_recalled, 2);
  EXPECT_TRUE(evaluator_.calls.empty());
}

TEST_F(SweepTest, AFreshRunMeasuresEverythingAgain) {
  Run({problem_});
  Run({problem_}, {.fresh = true});
  EXPECT_EQ(recorder_.recalled, 0);
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), ranked_.size());
}

TEST_F(SweepTest, ANewDriverMakesTheStoredRowsStrangers) {
  Run({problem_});
  evaluator_.driver = "2.0";
  Run({problem_});
  EXPECT_EQ(recorder_.recalled, 0);
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), ranked_.size());
}

TEST_F(SweepTest, ALargerBudgetGoesOnWhereTheSmallerEnded) {
  Run({problem_}, {.budget = 10});
  Run({problem_}, {.budget = 15});
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe).size(), 5u);
  EXPECT_EQ(evaluator_.Measured(Effort::kFinal).size() > 0, true) << "with a final of its own";
}

TEST_F(SweepTest, ASecondSearchThatLearnsTakesTheSameStepsFromTheStore) {
  const SweepOptions options = {.strategy = "auto", .budget = 20};
  const std::vector<Problem> problems = {problem_, SmallProblem(65)};
  const std::vector<Winner> first = Run(problems, options);
  EXPECT_EQ(Run(problems, options), first);
  EXPECT_EQ(recorder_.recalled, 40);
  EXPECT_TRUE(evaluator_.calls.empty());
}

TEST_F(SweepTest, TrialsOfAnotherSearchMayWinToo) {
  const Candidate& best = ranked_[3];
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == best ? 50.0 : 100.0;
  };
  Run({problem_}, {.budget = 4});
  const std::vector<Winner> winners = Run({problem_}, {.strategy = "random", .budget = 2});
  EXPECT_EQ(winners[0].config, best.config);
}

TEST_F(SweepTest, WhatWonTheNearestProblemsIsTriedFirst) {
  const std::vector<Problem> tuned = {SmallProblem(32), SmallProblem(1024),
                                      ProblemOf("forward/bf16/gather/e8/t64x2/n1024/k512/softmax")};
  evaluator_.time_us = [&](const Problem& problem, const Candidate& candidate) {
    for (size_t i = 0; i < tuned.size(); ++i) {
      if (problem == tuned[i] && candidate == ranked_[ranked_.size() - 1 - i]) return 10.0;
    }
    return 100.0;
  };
  ASSERT_EQ(Run(tuned).size(), 3u);
  Run({problem_}, {.strategy = "random", .budget = 5});
  const std::vector<Candidate> tried = evaluator_.Measured(Effort::kProbe);
  ASSERT_EQ(tried.size(), 5u);
  EXPECT_EQ(tried[0], ranked_[0]) << "the default";
  EXPECT_EQ(tried[1], ranked_[ranked_.size() - 1]) << "t32 lies nearer than t1024";
  EXPECT_EQ(tried[2], ranked_[ranked_.size() - 2]);
  EXPECT_NE(tried[3], ranked_[ranked_.size() - 3]) << "another problem altogether";
}

TEST_F(SweepTest, ASearchThatLearnsDoesNotGuessAheadOfKernelsThatAreThere) {
  size_t most_ahead = 0;
  evaluator_.time_us = [&](const Problem&, const Candidate&) {
    const size_t probed = evaluator_.Measured(Effort::kProbe).size();
    most_ahead = std::max(most_ahead, evaluator_.prepared.size() - probed);
    return 100.0;
  };
  const SweepOptions options = {.strategy = "auto", .look_ahead = 8};
  Run({problem_}, options);
  EXPECT_EQ(most_ahead, 7u);
  Run({problem_});  // all that is left
  most_ahead = 0;
  evaluator_.prepared.clear();
  Run({SmallProblem(65)}, options);  // whose kernels are the same
  EXPECT_LE(most_ahead, 1u) << "the default, and what won the first problem";
}

class SweepResumeTest : public SweepTest, public ::testing::WithParamInterface<StrategyEntry> {};

// Killed after every number of calls in turn, then run again: nothing is lost, nothing stands
// twice, and the winner is that of a run which nobody killed.
TEST_P(SweepResumeTest, ASweepKilledAnywhereResumes) {
  const SweepOptions options = {
      .strategy = std::string(GetParam().name), .budget = 20, .finalists = 4};
  evaluator_.scatter = 0.02;
  evaluator_.outcome = [](const Problem& problem, const Candidate& candidate) {
    const bool second = problem.tokens == 65;  // where more fails than in the first
    return candidate.config.Get("block_k") == 32 &&
                   candidate.config.Get("block_m") <= 32 + 32 * second
               ? Outcome::kTimeout
               : Outcome::kOk;
  };
  const std::vector<Problem> problems = {problem_, SmallProblem(65)};
  const std::vector<Winner> expected = Run(problems, options);
  const int trials = static_cast<int>(Stored().size());
  const auto calls = static_cast<int>(evaluator_.calls.size());
  for (int killed_after = 0; killed_after <= calls; ++killed_after) {
    store_ = OpenStore("memory:", OpenMode::kReadWrite).value();
    evaluator_.calls.clear();
    evaluator_.failure = [&](const Problem&, Effort) -> absl::Status {
      if (static_cast<int>(evaluator_.calls.size()) <= killed_after) return absl::OkStatus();
      return absl::AbortedError("killed");
    };
    RunSweep(problems, options, *store_, evaluator_, recorder_).status().IgnoreError();
    evaluator_.failure = nullptr;
    const std::vector<Winner> winners = Run(problems, options);
    ASSERT_EQ(winners.size(), expected.size());
    for (size_t i = 0; i < winners.size(); ++i) {
      EXPECT_EQ(winners[i].config, expected[i].config) << killed_after;
      EXPECT_EQ(winners[i].time_us, expected[i].time_us) << killed_after;
    }
    EXPECT_EQ(static_cast<int>(Stored().size()), trials) << killed_after;
    EXPECT_EQ(MostRowsOfOneTrial(), 1) << killed_after;
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, SweepResumeTest,
                         ::testing::ValuesIn(Strategies().begin(), Strategies().end()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace moetune
