#include "tuner/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "tests/testing/eventually.h"
#include "tests/testing/silent_observer.h"
#include "tests/tuner/sweep_fixture.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

TEST_F(SweepTest, AmongChosenFamiliesTheDefaultIsOneOfTheirsToo) {
  const Family* chosen = FindFamily("reference").value();
  ASSERT_NE(DefaultCandidate(problem_, evaluator_.device())->family, chosen);
  const std::vector<Winner> winners = Run({problem_}, {.families = {chosen}});
  for (const Measurement& row : Stored()) EXPECT_EQ(row.family, chosen->name);
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].family, chosen->name);
  EXPECT_EQ(winners[0].default_family, chosen->name);
  const auto best = std::ranges::find(ranked_, chosen, &Candidate::family);
  EXPECT_EQ(winners[0].default_config, best->config);
}

TEST_F(SweepTest, AWinnerAmongOtherFamiliesDoesNotStand) {
  const Family* chosen = FindFamily("reference").value();
  Run({problem_});
  EXPECT_EQ(Run({problem_}, {.families = {chosen}})[0].family, chosen->name);
  const std::vector<Winner> winners = Run({problem_});
  EXPECT_NE(winners[0].default_family, chosen->name);
  Run({problem_});
  EXPECT_EQ(recorder_.winners_recalled, 1) << "the last run alone finds the winner of its like";
}

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

TEST_F(SweepTest, OfEquallyFastFinalistsTheBestBackToBackWins) {
  const Candidate pair[] = {ranked_[3], ranked_[5]};
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return std::ranges::find(pair, candidate) == std::end(pair) ? 70.0 : 50.0;
  };
  for (const Candidate& best : pair) {
    evaluator_.hot_us = [&](const Candidate& candidate) { return candidate == best ? 40 : 45; };
    const Winner winner = Run({problem_}, {.fresh = true}).at(0);
    EXPECT_EQ(winner.config, best.config);
    EXPECT_THAT(winner.reason, HasSubstr("the fastest back to back"));
  }
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

TEST_F(SweepTest, WhereTheDefaultFailsInTheFinalTheWinnerIsJudgedBesideTheNextOne) {
  evaluator_.time_us = [&](const Problem&, const Candidate& candidate) {
    return candidate == ranked_[5] ? 50.0 : 100.0;
  };
  evaluator_.outcome = [&](const Problem&, const Candidate& candidate) {
    const bool in_final = evaluator_.calls.back().effort == Effort::kFinal;
    return candidate == ranked_[0] && in_final ? Outcome::kFault : Outcome::kOk;
  };
  const std::vector<Winner> winners = Run({problem_});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].config, ranked_[5].config);
  EXPECT_EQ(winners[0].default_config, ranked_[1].config);
  EXPECT_DOUBLE_EQ(winners[0].Speedup(), 2);
  EXPECT_EQ(MostRowsOfOneTrial(), 1);
  EXPECT_EQ(Run({problem_}), winners);
  EXPECT_EQ(recorder_.measured, 0) << "the winner stands";
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

TEST_F(SweepTest, SeveralEvaluatorsShareTheProblemsAndNoneIsSplit) {
  std::vector<Problem> problems;
  for (int64_t tokens = 1; tokens <= 12; ++tokens) problems.push_back(SmallProblem(tokens));
  const std::vector<Winner> expected = Run(problems, {.budget = 10});
  store_ = OpenStore("memory:", OpenMode::kReadWrite).value();

  FakeEvaluator first, second;
  std::atomic<int> begun = 0;  // each waits until both have a problem
  for (FakeEvaluator* evaluator : {&first, &second}) {
    evaluator->failure = [&, evaluator](const Problem&, Effort) {
      if (evaluator->calls.size() == 1) ++begun;
      EXPECT_TRUE(Eventually([&] { return begun == 2; })) << "problems run side by side";
      return absl::OkStatus();
    };
  }
  Evaluator* const both[] = {&first, &second};
  SilentObserver observer;
  const auto winners = RunSweep(problems, {.budget = 10}, *store_, both, observer);
  ASSERT_TRUE(winners.ok()) << winners.status();
  ASSERT_EQ(winners->size(), problems.size());
  for (size_t i = 0; i < problems.size(); ++i) {
    EXPECT_EQ((*winners)[i].problem, problems[i]) << "in the problems' order";
    EXPECT_EQ((*winners)[i].config, expected[i].config);
    const auto has = [&](const FakeEvaluator& evaluator) {
      return std::ranges::any_of(evaluator.calls,
                                 [&](const auto& call) { return call.problem == problems[i]; });
    };
    EXPECT_NE(has(first), has(second)) << "one card makes all trials of a problem";
  }
  EXPECT_EQ(MostRowsOfOneTrial(), 1);
}

TEST_F(SweepTest, AnEvaluatorThatCannotGoOnEndsTheSweepOfAll) {
  FakeEvaluator broken;
  broken.failure = [](const Problem&, Effort) { return absl::AbortedError("off the bus"); };
  Evaluator* const both[] = {&evaluator_, &broken};
  std::vector<Problem> problems;
  for (int64_t tokens = 1; tokens <= 200; ++tokens) problems.push_back(SmallProblem(tokens));
  evaluator_.failure = [&](const Problem&, Effort) {
    EXPECT_TRUE(Eventually([&] { return !broken.calls.empty(); }));
    return absl::OkStatus();
  };
  SilentObserver observer;
  EXPECT_TRUE(absl::IsAborted(RunSweep(problems, {}, *store_, both, observer).status()));
}

TEST_F(SweepTest, AnEvaluatorThatCannotGoOnEndsTheSweepWithItsError) {
  evaluator_.failure = [](const Problem&, Effort) {
    return absl::FailedPreconditionError("the card fell off the bus");
  };
  const auto winners = RunSweep({problem_}, {}, *store_, evaluator_, recorder_);
  EXPECT_THAT(std::string(winners.status().message()), HasSubstr("fell off the bus"));
}

// A disk that is full for the batch with this number, and no other.
class FullDisk : public Store {
 public:
  FullDisk(Store& store, size_t full_at) : store_(store), full_at_(full_at) {}
  absl::StatusOr<int> Append(std::span<const Record> batch,
                             std::optional<int64_t> winners_until) override {
    if (batches_++ == full_at_) return absl::ResourceExhaustedError("the disk is full");
    return store_.Append(batch, winners_until);
  }
  absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) override {
    return store_.Scan(since, filter);
  }
  absl::Status Close() override { return store_.Close(); }

 private:
  Store& store_;
  const size_t full_at_;
  size_t batches_ = 0;
};

TEST_F(SweepTest, ATrialThatCannotBeStoredEndsTheSweepAlsoWhereItIsTheLast) {
  evaluator_.outcome = [](const Problem&, const Candidate&) { return Outcome::kWrongResult; };
  for (const size_t batch : {size_t{1}, ranked_.size()}) {  // batch 0 begins the sweep
    FullDisk disk(*store_, batch);
    const auto winners = RunSweep({problem_}, {.fresh = true}, disk, evaluator_, recorder_);
    EXPECT_THAT(std::string(winners.status().message()), HasSubstr("the disk is full"));
  }
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

class MixSweepTest : public SweepTest {
 protected:
  // One config is the fastest with softmax, one with zipf, a third never far behind.
  MixSweepTest() {
    mix_.routing.kinds = kSoftmax | kZipf;
    evaluator_.time_us = [this](const Problem& problem, const Candidate& candidate) {
      const bool zipf = problem.routing.kinds == kZipf;
      if (candidate == ranked_[1]) return zipf ? 1400.0 : 100.0;
      if (candidate == ranked_[2]) return zipf ? 1000.0 : 140.0;
      if (candidate == ranked_[3]) return zipf ? 1150.0 : 110.0;
      return zipf ? 2000.0 : 200.0;
    };
  }

  Problem mix_ = problem_;
};

TEST_F(MixSweepTest, TheWinnerIsNeverFarFromTheBestOfAnyRouting) {
  const std::vector<Winner> winners = Run({mix_});
  ASSERT_EQ(winners.size(), 1u);
  EXPECT_EQ(winners[0].config, ranked_[3].config);
  EXPECT_NEAR(winners[0].Speedup(), 2 / 1.15, 1e-6);
  EXPECT_THAT(winners[0].reason, HasSubstr("1.15x the best finalist's time"));
  EXPECT_THAT(winners[0].reason, HasSubstr("softmax+zipf"));
  for (const Measurement& m : Stored()) {
    if (m.effort != Effort::kFinal) continue;
    EXPECT_EQ(m.time_us == winners[0].time_us, m.config == winners[0].config);
  }
  EXPECT_EQ(MostRowsOfOneTrial(), 1) << "one row for all routings of a trial";
}

TEST_F(MixSweepTest, AMixIsAProblemOfItsOwnBesideItsRoutings) {
  Problem zipf = problem_;
  zipf.routing.kinds = kZipf;
  const std::vector<Winner> winners = Run({problem_, zipf, mix_});
  ASSERT_EQ(winners.size(), 3u);
  EXPECT_EQ(winners[0].config, ranked_[1].config);
  EXPECT_EQ(winners[1].config, ranked_[2].config);
  EXPECT_EQ(winners[2].config, ranked_[3].config);
  Run({problem_, zipf, mix_});
  EXPECT_EQ(recorder_.winners_recalled, 3);
  EXPECT_EQ(recorder_.measured, 0);
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

}  // namespace
}  // namespace moetune
