#include "tuner/cost_estimate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "tuner/foresight.h"
#include "tuner/kernel_name.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep_history.h"

namespace moetune {
namespace {

// A sweep of fewer trials tells more of its start and its final than of trials.
constexpr size_t kLeastTrials = 20;

// A search that ends by itself has a patience of 100 trials (strategies/auto.cc), configs that are
// known to fail among them: who had far fewer was cut off by a budget or a time limit, went on from
// a sweep before, or had no more candidates.
constexpr size_t kLeastTrialsOfAProblem = 80;

// What takes less was not compiled but found in the cache: that takes a millisecond.
constexpr double kLeastCompileMs = 20;

// The trials of a problem.
struct Span {
  int64_t first = INT64_MAX;  // µs
  int64_t last = INT64_MIN;
  size_t trials = 0;
};

// What a past sweep took.
struct PastSweep {
  std::string strategy;
  int64_t started = 0;  // µs
  int64_t finished = 0;
  size_t trials = 0;
  std::map<std::string, Span> problems;
};

// As many as problems were under way at once: each device has one at a time.
int DevicesOf(const PastSweep& past) {
  std::vector<std::pair<int64_t, int>> changes;
  for (const auto& [key, span] : past.problems) {
    changes.emplace_back(span.first, 1);
    changes.emplace_back(span.last, -1);
  }
  std::ranges::sort(changes);  // what ends when another begins ends first
  int devices = 1;
  int under_way = 0;
  for (const auto& [at, change] : changes) devices = std::max(devices, under_way += change);
  return devices;
}

struct PastRates {
  CostRate compile_seconds, trial_seconds, trials_of_a_problem;
};

CostRate Mean(double sum, size_t count, size_t from, double assumed) {
  if (count == 0) return {assumed, 0};
  return {sum / static_cast<double>(count), from};
}

std::map<std::string, PastSweep> FinishedSweeps(std::span<const Record> records,
                                                const std::string& device) {
  std::map<std::string, PastSweep> sweeps;
  for (const Record& record : records) {
    if (const auto* sweep = std::get_if<Sweep>(&record.row)) {
      PastSweep& past = sweeps[sweep->id];
      past.strategy = sweep->strategy;
      (sweep->state == SweepState::kStarted ? past.started : past.finished) = sweep->at;
    } else if (const auto* m = std::get_if<Measurement>(&record.row)) {
      // Trials of other efforts are the finals', which count for those that came before them.
      if (m->device.name != device || m->effort != Effort::kProbe) continue;
      PastSweep& past = sweeps[m->sweep];
      ++past.trials;
      Span& span = past.problems[ProblemKey(m->problem)];
      span.first = std::min(span.first, m->measured_at);
      span.last = std::max(span.last, m->measured_at);
      ++span.trials;
    }
  }
  std::erase_if(sweeps, [](const auto& entry) {
    const PastSweep& past = entry.second;
    return past.trials < kLeastTrials || past.started == 0 || past.finished <= past.started;
  });
  return sweeps;
}

// Of each kernel the first row that tells it counts; rows of other problems and of configs that
// share it repeat it.
CostRate CompileRate(std::span<const Record> records, int compute_capability, double assumed) {
  std::set<std::string> kernels;
  double sum = 0;
  for (const Record& record : records) {
    const auto* m = std::get_if<Measurement>(&record.row);
    if (m == nullptr || m->device.compute_capability != compute_capability) continue;
    if (m->compile_ms < kLeastCompileMs) continue;
    const absl::StatusOr<const Family*> family = FindFamily(m->family);
    if (!family.ok()) continue;
    if (!kernels.insert(KernelName(m->problem.shape, {*family, m->config})).second) continue;
    sum += m->compile_ms / 1e3;
  }
  return Mean(sum, kernels.size(), kernels.size(), assumed);
}

PastRates RatesOf(std::span<const Record> records, const DeviceSpec& device,
                  const std::string& strategy, const CostAssumptions& assumptions) {
  double seconds = 0;
  size_t trials = 0, sweeps = 0, trials_of_strategy = 0, problems = 0, sweeps_of_strategy = 0;
  for (const auto& [id, past] : FinishedSweeps(records, device.name)) {
    seconds += DevicesOf(past) * static_cast<double>(past.finished - past.started) / 1e6;
    trials += past.trials;
    ++sweeps;
    if (past.strategy != strategy) continue;
    const size_t problems_before = problems;
    for (const auto& [key, problem] : past.problems) {
      if (problem.trials < kLeastTrialsOfAProblem) continue;
      trials_of_strategy += problem.trials;
      ++problems;
    }
    if (problems > problems_before) ++sweeps_of_strategy;
  }
  return {CompileRate(records, device.compute_capability, assumptions.compile_seconds),
          Mean(seconds, trials, sweeps, assumptions.trial_seconds),
          Mean(static_cast<double>(trials_of_strategy), problems, sweeps_of_strategy,
               assumptions.trials_of_a_problem)};
}

// "assumed", or "as in 3 past sweeps".
std::string RateText(const CostRate& rate, std::string_view of) {
  if (rate.from == 0) return "assumed";
  return absl::StrFormat("as in %d past %s%s", rate.from, of, rate.from == 1 ? "" : "s");
}

std::string DurationText(double seconds) {
  if (seconds < 90) return absl::StrFormat("%.0f s", std::ceil(seconds));
  if (seconds < 5400) return absl::StrFormat("%.0f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

}  // namespace

absl::StatusOr<CostEstimate> EstimateCost(std::span<const Problem> problems,
                                          const SweepOptions& options, const Evaluator& evaluator,
                                          size_t devices, size_t processes,
                                          std::span<const Record> records,
                                          const CostAssumptions& assumptions) {
  ASSIGN_OR_RETURN(const StrategyEntry* strategy, FindStrategy(options.strategy));
  const PastRates rates = RatesOf(records, evaluator.device(), options.strategy, assumptions);
  SweepHistory history(options.fresh ? std::span<const Record>() : records, evaluator);
  ExpectDefaults(problems, options, evaluator, history);
  CostEstimate cost = {.problems = problems.size(),
                       .ends_itself = strategy->ends_itself && options.budget == 0,
                       .trials_of_a_problem = rates.trials_of_a_problem,
                       .compile_seconds = rates.compile_seconds,
                       .trial_seconds = rates.trial_seconds,
                       .limit = absl::ToDoubleSeconds(options.time_limit)};
  size_t most = SIZE_MAX;  // trials of a problem
  if (options.budget > 0) most = static_cast<size_t>(options.budget);
  if (cost.ends_itself) most = static_cast<size_t>(std::ceil(rates.trials_of_a_problem.value));
  std::set<std::string> kernels;  // that are not compiled yet
  for (const Problem& problem : problems) {
    size_t known = 0;
    const std::vector<Candidate> candidates = CandidatesOf(problem, options, evaluator, history);
    for (const Candidate& candidate : candidates) {
      if (history.Find(problem, candidate) != nullptr || history.Failed(problem.shape, candidate)) {
        ++known;
      } else if (!history.CompiledBefore(problem, candidate)) {
        kernels.insert(KernelName(problem.shape, candidate));
      }
    }
    cost.candidates += candidates.size();
    cost.known += known;
    const size_t planned = std::min(candidates.size(), most);
    cost.trials += planned - std::min(planned, known);
  }
  cost.kernels = std::min(kernels.size(), cost.trials);
  cost.compiling = static_cast<double>(cost.kernels) * cost.compile_seconds.value /
                   static_cast<double>(std::max<size_t>(processes, 1));
  cost.measuring = static_cast<double>(cost.trials) * cost.trial_seconds.value /
                   static_cast<double>(std::max<size_t>(devices, 1));
  return cost;
}

std::string CostText(const CostEstimate& cost) {
  std::string text = absl::StrFormat("%d problem%s, %d candidates", cost.problems,
                                     cost.problems == 1 ? "" : "s", cost.candidates);
  if (cost.known > 0) absl::StrAppendFormat(&text, ", %d of them known", cost.known);
  absl::StrAppendFormat(&text, "; about %d trials", cost.trials);
  if (cost.trials == 0) return text + "\n";
  if (cost.ends_itself) {
    absl::StrAppendFormat(&text, " (%.0f a problem, %s)", cost.trials_of_a_problem.value,
                          RateText(cost.trials_of_a_problem, "sweep"));
  }
  absl::StrAppendFormat(&text, "\nabout %s", DurationText(cost.seconds()));
  if (cost.limit < cost.all_seconds()) {
    absl::StrAppendFormat(&text, ", the time limit, of about %s for all",
                          DurationText(cost.all_seconds()));
  }
  absl::StrAppendFormat(&text, ": up to %d kernels to compile, %.1f s each (%s)", cost.kernels,
                        cost.compile_seconds.value, RateText(cost.compile_seconds, "compile"));
  if (cost.trial_seconds.value > 0) {
    absl::StrAppendFormat(&text, "; %.2f s a trial (%s)", cost.trial_seconds.value,
                          RateText(cost.trial_seconds, "sweep"));
  }
  return text + "\n";
}

}  // namespace moetune
