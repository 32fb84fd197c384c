#include "tuner/sweep.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"
#include "tuner/foresight.h"
#include "tuner/search_strategy.h"
#include "tuner/statistics.h"
#include "tuner/sweep_history.h"
#include "tuner/sweep_row.h"
#include "tuner/timer.h"
#include "tuner/trailing_store.h"
#include "tuner/winner_rule.h"

namespace moetune {
namespace {

// What the problems of one sweep share.
struct Run {
  const SweepOptions& options;
  const StrategyEntry& strategy;
  Store& store;
  SweepObserver& observer;
  SweepHistory history;
  std::string id;
  absl::Time deadline;
  std::atomic<size_t> next = 0;  // problem to begin

  bool PastDeadline() const { return options.now() >= deadline; }
};

struct Tuned {
  Winner winner;
  bool from_store = false;
};

// The sweep of one problem.
class ProblemSweep {
 public:
  ProblemSweep(const Problem& problem, Run& run, Evaluator& evaluator)
      : problem_(problem),
        run_(run),
        evaluator_(evaluator),
        store_(run.store),
        candidates_(CandidatesOf(problem, run.options, evaluator, run.history)),
        tried_(candidates_.size(), false),
        probed_(candidates_.size(), false),
        times_(candidates_.size()) {
    for (size_t i = 0; i < candidates_.size(); ++i) failed_before_ += FailedElsewhere(i) ? 1 : 0;
    strategy_ = run.strategy.make(candidates_,
                                  {.seed = run.options.seed, .least_gain = run.options.guard_band});
  }

  size_t TrialsPlanned() const {
    const auto budget = static_cast<size_t>(run_.options.budget);
    const size_t all = candidates_.size() - failed_before_;
    return budget == 0 ? all : std::min(budget, all);
  }

  // However it ends, all that was measured is in the store, or the error says that it is not.
  absl::StatusOr<Tuned> Tune() {
    absl::StatusOr<Tuned> tuned = FindWinner();
    RETURN_IF_ERROR(store_.Finish());
    if (tuned.ok() && !tuned->from_store) run_.history.Add(tuned->winner);
    return tuned;
  }

 private:
  absl::StatusOr<Tuned> FindWinner() {
    if (TrialsPlanned() == 0) return NoWinner();
    RETURN_IF_ERROR(Search());
    RecallOthers();
    const Winner* last = run_.history.StandingWinner(problem_);
    const bool stands = last != nullptr && WasChosenAmong(*last, candidates_, Standard());
    if (stands && !measured_) return Tuned{*last, /*from_store=*/true};
    ASSIGN_OR_RETURN(Winner winner, RunFinal());
    return Tuned{std::move(winner)};
  }

  absl::Status NoWinner() const {
    if (!candidates_.empty()) {
      return absl::NotFoundError(absl::StrFormat("none of %d configs passed", candidates_.size()));
    }
    const DeviceSpec& device = evaluator_.device();
    return absl::NotFoundError(absl::StrFormat("no kernel family runs it on %s (%s)", device.name,
                                               ArchName(device.compute_capability)));
  }

  // The default, or what the model likes best after it, if that has failed.
  size_t Standard() const {
    const auto found = std::ranges::find_if(times_, &std::optional<double>::has_value);
    return static_cast<size_t>(found - times_.begin());
  }

  void Learn(size_t candidate, const Measurement& measurement) {
    if (!tried_[candidate]) ++trials_;
    tried_[candidate] = true;
    times_[candidate] = measurement.outcome == Outcome::kOk
                            ? std::optional<double>(measurement.time_us)
                            : std::nullopt;
    strategy_->Observe(candidate, times_[candidate]);
  }

  const KnownTrial* Known(size_t candidate) const {
    return run_.history.Find(problem_, candidates_[candidate]);
  }

  bool FailedElsewhere(size_t candidate) const {
    return run_.history.FailedElsewhere(problem_, candidates_[candidate]);
  }

  void Recall(size_t candidate, const Measurement& measurement) {
    Learn(candidate, measurement);
    if (!probed_[candidate]) run_.observer.OnTrial(measurement, /*from_store=*/true);
  }

  // What the store holds beyond the steps of this search may win too; a config that has failed
  // since, in another problem, may not.
  void RecallOthers() {
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const KnownTrial* known = Known(i);
      if (known != nullptr && !tried_[i]) Recall(i, known->measurement);
      if (run_.history.Failed(problem_.shape, candidates_[i])) times_[i].reset();
    }
  }

  // A candidate whose trial comes soon.
  struct Ahead {
    size_t candidate;
    bool compiled;  // for a problem before
  };

  bool MayGoOn() const { return trials_ == 0 || !run_.PastDeadline(); }

  // Probes the default, which every winner is compared with, what won like problems, and then what
  // the strategy asks for. What the store holds is told and not measured: so a search that was cut
  // short takes the same steps again, and goes on as if nothing had happened. The strategy is told
  // in the order of its suggestions, whatever was compiled, and so measured, first.
  absl::Status Search() {
    std::deque<Ahead> ahead;
    Enqueue(FirstTrials(problem_, candidates_, run_.options, run_.history), ahead);
    while (trials_ < TrialsPlanned() && MayGoOn()) {
      LookAhead(ahead);
      if (ahead.empty()) break;
      const size_t next = ahead.front().candidate;
      while (Known(next) == nullptr && MayGoOn()) RETURN_IF_ERROR(ProbeOneOf(ahead));
      if (Known(next) == nullptr) break;
      Recall(next, Known(next)->measurement);
      ahead.pop_front();
    }
    return absl::OkStatus();
  }

  // The first that is compiled: nothing is waited for while anything can be timed.
  absl::Status ProbeOneOf(const std::deque<Ahead>& ahead) {
    std::vector<size_t> unknown;
    std::vector<Candidate> candidates;
    for (const Ahead& each : ahead) {
      if (Known(each.candidate) != nullptr) continue;
      unknown.push_back(each.candidate);
      candidates.push_back(candidates_[each.candidate]);
    }
    const size_t chosen = unknown[evaluator_.WaitForAny(problem_, candidates)];
    probed_[chosen] = true;
    return Measure({&chosen, 1}, Effort::kProbe).status();
  }

  // Compiles run while others are timed. But a search that learns knows more after each trial:
  // where the next kernel is there already, nothing more is suggested before it is timed.
  void LookAhead(std::deque<Ahead>& ahead) {
    const size_t target = std::min<size_t>(run_.options.look_ahead, TrialsPlanned() - trials_);
    const bool learns = run_.strategy.learns;
    while (ahead.size() < target) {
      if (learns && !ahead.empty() && ahead.front().compiled) return;
      const std::vector<size_t> suggested = strategy_->Suggest(learns ? 1 : target - ahead.size());
      if (suggested.empty()) return;
      Enqueue(suggested, ahead);
    }
  }

  // Each once: the strategy does not know of the first trials before they are measured.
  void Enqueue(const std::vector<size_t>& chosen, std::deque<Ahead>& ahead) {
    std::vector<Candidate> unknown;
    for (size_t i : chosen) {
      if (FailedElsewhere(i)) {
        strategy_->Observe(i, std::nullopt);
      } else if (std::ranges::find(ahead, i, &Ahead::candidate) == ahead.end()) {
        ahead.push_back({i, run_.history.CompiledBefore(problem_, candidates_[i])});
        if (Known(i) == nullptr) unknown.push_back(candidates_[i]);
      }
    }
    evaluator_.Prepare(problem_, unknown);
  }

  // Everything of one Measure is on its way to the store when this returns, except passed trials of
  // the final: those are for the caller to append beside the winner.
  absl::StatusOr<std::vector<Trial>> Measure(std::span<const size_t> chosen, Effort effort) {
    std::vector<Candidate> candidates;
    for (size_t i : chosen) candidates.push_back(candidates_[i]);
    ASSIGN_OR_RETURN(std::vector<Trial> trials, evaluator_.Measure(problem_, candidates, effort));
    measured_ = true;
    std::vector<Record> batch;
    for (size_t i = 0; i < trials.size(); ++i) {
      Measurement& measurement = trials[i].measurement;
      measurement.sweep = run_.id;
      const bool passed = measurement.outcome == Outcome::kOk;
      if (effort != Effort::kProbe && !passed) Learn(chosen[i], measurement);
      // An estimate is one for every effort, and stands in the store from the first time.
      const bool repeated = effort != Effort::kProbe && measurement.effort == Effort::kEstimate;
      if (passed && (effort == Effort::kFinal || repeated)) continue;
      run_.history.Add(measurement);
      batch.push_back(NewRecord(measurement));
    }
    RETURN_IF_ERROR(Append(batch));
    return trials;
  }

  absl::Status Append(const std::vector<Record>& batch) {
    RETURN_IF_ERROR(store_.Append(batch));
    for (const Record& record : batch) {
      const auto* measurement = std::get_if<Measurement>(&record.row);
      if (measurement != nullptr) run_.observer.OnTrial(*measurement, /*from_store=*/false);
    }
    return absl::OkStatus();
  }

  // The default first, where it passed, and the fastest others: if many, by a second, longer look.
  absl::StatusOr<std::vector<size_t>> ShortList() {
    const size_t standard = Standard();
    if (standard == candidates_.size()) return NoWinner();
    std::vector<size_t> passed;
    for (size_t i = standard + 1; i < candidates_.size(); ++i) {
      if (times_[i]) passed.push_back(i);
    }
    KeepFastest(passed, run_.options.short_list);
    if (passed.size() > static_cast<size_t>(run_.options.finalists)) {
      RETURN_IF_ERROR(LookAgain(passed));
      KeepFastest(passed, run_.options.finalists);
    }
    passed.insert(passed.begin(), standard);
    return passed;
  }

  // Drops what is hopeless now that the best is known, and all but the `count` fastest.
  void KeepFastest(std::vector<size_t>& chosen, size_t count) const {
    std::erase_if(chosen, [&](size_t i) { return !times_[i]; });
    std::stable_sort(chosen.begin(), chosen.end(),
                     [&](size_t a, size_t b) { return *times_[a] < *times_[b]; });
    if (!chosen.empty()) {
      const double best_us = *times_[chosen.front()];
      std::erase_if(chosen, [&](size_t i) { return IsHopeless(*times_[i], best_us); });
    }
    chosen.resize(std::min(chosen.size(), count));
  }

  // Replaces the times of probes by those of the short list, as far as the store has none.
  absl::Status LookAgain(const std::vector<size_t>& chosen) {
    std::vector<size_t> unknown;
    for (size_t i : chosen) {
      const KnownTrial* known = run_.history.Find(problem_, candidates_[i]);
      if (known != nullptr && known->short_us) {
        times_[i] = known->short_us;
      } else {
        unknown.push_back(i);
      }
    }
    if (unknown.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<Trial> trials, Measure(unknown, Effort::kShort));
    for (size_t i = 0; i < trials.size(); ++i) {
      const Measurement& measurement = trials[i].measurement;
      if (measurement.outcome == Outcome::kOk) times_[unknown[i]] = measurement.time_us;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Winner> RunFinal() {
    ASSIGN_OR_RETURN(const std::vector<size_t> chosen, ShortList());
    ASSIGN_OR_RETURN(std::vector<Trial> trials, Measure(chosen, Effort::kFinal));
    // Where the default fails, another one stands in, which all must be timed beside.
    if (trials[0].measurement.outcome != Outcome::kOk) return RunFinal();
    std::vector<Finalist> finalists;
    std::vector<Trial> passed;
    for (size_t i = 0; i < trials.size(); ++i) {
      Trial& trial = trials[i];
      if (trial.measurement.outcome != Outcome::kOk) continue;
      const Candidate& candidate = candidates_[chosen[i]];
      const Plan plan =
          candidate.family->plan(problem_, candidate.config, evaluator_.device(), trial.facts);
      finalists.push_back({candidate, trial.samples_us, trial.measurement.hot_us,
                           trial.facts.registers,
                           trial.facts.static_shared_bytes + plan.dynamic_shared_bytes});
      passed.push_back(std::move(trial));
    }
    const Verdict verdict =
        ChooseRobustWinner(finalists, problem_.routing, run_.options.guard_band, run_.options.seed);
    std::vector<Record> batch;
    for (size_t i = 0; i < passed.size(); ++i) {
      Measurement& m = passed[i].measurement;  // of a mix, with the times that it was judged by
      m.time_us = Median(finalists[i].samples_us);
      m.time_us_mad = MedianAbsoluteDeviation(finalists[i].samples_us);
      if (m.effort == Effort::kFinal) batch.push_back(NewRecord(m));
    }
    Winner winner = WinnerRow(passed[verdict.winner].measurement, passed[0].measurement, verdict);
    const Candidate& proper = candidates_.front();
    if (proper != finalists[0].candidate) {
      absl::StrAppendFormat(&winner.reason, "; %s %s, which has failed, is the default proper",
                            proper.family->name, proper.config.Text());
    }
    // In one batch: one without the other would be measured again by the next run.
    batch.push_back(NewRecord(winner));
    RETURN_IF_ERROR(Append(batch));
    return winner;
  }

  const Problem& problem_;
  Run& run_;
  Evaluator& evaluator_;
  TrailingStore store_;
  // In the cost model's order: the first is what a look-up without any record answers.
  std::vector<Candidate> candidates_;
  std::vector<bool> tried_;
  std::vector<bool> probed_;                  // in this run
  std::vector<std::optional<double>> times_;  // of those that passed
  std::unique_ptr<SearchStrategy> strategy_;
  size_t trials_ = 0;         // candidates with an outcome, those from the store included
  size_t failed_before_ = 0;  // candidates that failed in other problems: never tried
  bool measured_ = false;     // anything, in this run
};

absl::Status RecordSweep(Run& run, SweepState state) {
  const Record record = NewRecord(SweepRow(run.id, run.options, state));
  return run.store.Append({&record, 1}).status();
}

// Tunes what is next until nothing is left. winners[i] is written only by who tunes problems[i].
absl::Status TuneInTurn(const std::vector<Problem>& problems, Run& run, Evaluator& evaluator,
                        std::span<std::optional<Winner>> winners) {
  for (size_t i = run.next++; i < problems.size() && !run.PastDeadline(); i = run.next++) {
    ProblemSweep sweep(problems[i], run, evaluator);
    run.observer.OnProblem(i, problems.size(), problems[i], sweep.TrialsPlanned());
    absl::StatusOr<Tuned> tuned = sweep.Tune();
    if (tuned.ok()) {
      run.observer.OnResult(problems[i], tuned->winner, tuned->from_store);
      winners[i] = std::move(tuned->winner);
    } else if (absl::IsNotFound(tuned.status()) || absl::IsResourceExhausted(tuned.status())) {
      run.observer.OnResult(problems[i], tuned.status(), /*from_store=*/false);
    } else {
      run.next = problems.size();  // the others end theirs
      return tuned.status();
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Winner>> RunSweep(const std::vector<Problem>& problems,
                                             const SweepOptions& options, Store& store,
                                             std::span<Evaluator* const> evaluators,
                                             SweepObserver& observer) {
  ASSIGN_OR_RETURN(const StrategyEntry* strategy, FindStrategy(options.strategy));
  std::vector<Record> known;
  if (!options.fresh) {
    ASSIGN_OR_RETURN(ScanResult scan, store.Scan(0));
    known = std::move(scan.records);
  }
  Run run = {options,
             *strategy,
             store,
             observer,
             SweepHistory(known, *evaluators[0]),
             NewUuid(),
             options.now() + options.time_limit};
  known.clear();
  ExpectDefaults(problems, options, *evaluators[0], run.history);
  RETURN_IF_ERROR(RecordSweep(run, SweepState::kStarted));
  std::vector<std::optional<Winner>> found(problems.size());
  std::vector<absl::Status> ends(evaluators.size());
  const auto tune = [&](size_t i) { ends[i] = TuneInTurn(problems, run, *evaluators[i], found); };
  const Foresight foresight(problems, options, *strategy, run.history, *evaluators[0]);
  std::vector<std::thread> others;
  for (size_t i = 1; i < evaluators.size(); ++i) others.emplace_back(tune, i);
  tune(0);
  for (std::thread& other : others) other.join();
  for (const absl::Status& end : ends) RETURN_IF_ERROR(end);
  RETURN_IF_ERROR(RecordSweep(run, SweepState::kFinished));
  std::vector<Winner> winners;
  for (std::optional<Winner>& winner : found) {
    if (winner) winners.push_back(*std::move(winner));
  }
  return winners;
}

}  // namespace moetune
