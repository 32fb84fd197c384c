#include "tuner/replay.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <deque>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"
#include "tuner/random.h"

namespace moetune {
namespace {

constexpr double kCutoff = 0.95;  // where the community's methodology ends a run
constexpr int kMoments = 50;      // enough for a smooth mean over a curve of steps

bool IsValid(const TracePoint& point) { return point.invalidity == Invalidity::kCorrect; }

// When the best time so far was reached first: by evaluations, and on the score's axis.
struct Improvement {
  int evaluation = 0;
  double moment = 0;
  double time_us = 0;
};

// How long a repeat may go on, and what it costs.
struct Course {
  int evaluations = 0;  // at least these many, and
  double span = 0;      // up to this moment
  bool time_is_recorded = false;

  double Cost(const TracePoint& point) const {
    return time_is_recorded ? point.cost->compile_us + point.cost->rest_us : 1;
  }
};

// Whether every evaluation has a cost, and these are a measure of time.
bool TimeIsRecorded(const Trace& trace) {
  double sum = 0;
  for (const TracePoint& point : trace.points) {
    if (!point.cost || point.cost->compile_us < 0 || point.cost->rest_us < 0) return false;
    sum += point.cost->compile_us + point.cost->rest_us;
  }
  return sum > 0 && std::isfinite(sum);
}

// One search from the start.
class Run {
 public:
  Run(const Trace& trace, const StrategyEntry& strategy, const ReplayOptions& options,
      uint64_t seed, const Course& course)
      : trace_(trace), course_(course), order_(trace.points.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    // A recording is sorted, which would tell where to look.
    Random{seed, kOrderStream}.Shuffle(std::span(order_));
    ordered_ = std::ranges::all_of(
        trace.points, [](const TracePoint& point) { return point.estimate_us.has_value(); });
    if (ordered_) {
      std::ranges::stable_sort(order_, {}, [&](size_t i) { return *trace.points[i].estimate_us; });
    }
    for (size_t i : order_) candidates_.push_back({.config = trace.points[i].config});
    const std::clock_t start = std::clock();
    search_ = strategy.make(candidates_, {seed, options.least_gain, ordered_});
    inside_ += std::clock() - start;
  }

  // Ends early once the optimum is found, where the strategy is not to end by itself: nothing can
  // follow that counts.
  void Go(const ReplayOptions& options, double optimum_us) {
    if (ordered_) Try(0);  // the default, as in a sweep
    for (const Config& config : options.first) {
      const auto at = std::ranges::find(candidates_, config, &Candidate::config);
      const auto candidate = static_cast<size_t>(at - candidates_.begin());
      if (at != candidates_.end() && !(ordered_ && candidate == 0)) Try(candidate);
    }
    while ((trials_ < course_.evaluations || moment_ < course_.span) &&
           (best_us_ > optimum_us || options.least_gain > 0)) {
      const std::clock_t start = std::clock();
      const std::vector<size_t> suggested = search_->Suggest(1);
      inside_ += std::clock() - start;
      if (suggested.empty()) return;
      Try(suggested.front());
    }
  }

  const std::vector<Improvement>& improvements() const { return improvements_; }
  int trials() const { return trials_; }
  double InsideMs() const { return 1e3 * static_cast<double>(inside_) / CLOCKS_PER_SEC; }

 private:
  static constexpr uint64_t kOrderStream = 1;

  void Try(size_t candidate) {
    const TracePoint& point = trace_.points[order_[candidate]];
    ++trials_;
    moment_ += course_.Cost(point);
    if (IsValid(point) && point.time_us < best_us_) {
      best_us_ = point.time_us;
      improvements_.push_back({trials_, moment_, best_us_});
    }
    const std::clock_t start = std::clock();
    search_->Observe(candidate,
                     IsValid(point) ? std::optional<double>(point.time_us) : std::nullopt);
    inside_ += std::clock() - start;
  }

  const Trace& trace_;
  const Course& course_;
  std::vector<size_t> order_;  // of the points
  bool ordered_ = false;       // by their estimates
  std::vector<Candidate> candidates_;
  std::unique_ptr<SearchStrategy> search_;
  std::vector<Improvement> improvements_;
  int trials_ = 0;
  double moment_ = 0;
  double best_us_ = std::numeric_limits<double>::infinity();
  std::clock_t inside_ = 0;  // the strategy
};

BudgetScore ScoreBudget(const std::deque<Run>& runs, int budget, double optimum_us) {
  std::vector<double> fractions;
  for (const Run& run : runs) {
    double fraction = 0;
    for (const Improvement& each : run.improvements()) {
      if (each.evaluation <= budget) fraction = optimum_us / each.time_us;
    }
    fractions.push_back(fraction);
  }
  std::sort(fractions.begin(), fractions.end());
  const double place = 0.1 * static_cast<double>(fractions.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, fractions.size() - 1);
  const double sum = std::accumulate(fractions.begin(), fractions.end(), 0.0);
  return {.budget = budget,
          .mean = sum / static_cast<double>(fractions.size()),
          .p10 = std::lerp(fractions[below], fractions[above], place - static_cast<double>(below))};
}

double MeanBestAt(const std::deque<Run>& runs, double moment, double slowest_us) {
  double sum = 0;
  for (const Run& run : runs) {
    double best_us = slowest_us;
    for (const Improvement& each : run.improvements()) {
      if (each.moment <= moment) best_us = each.time_us;
    }
    sum += best_us;
  }
  return sum / static_cast<double>(runs.size());
}

double Score(const std::deque<Run>& runs, const RandomBaseline& baseline, double span,
             double mean_cost) {
  double sum = 0;
  for (int i = 1; i <= kMoments; ++i) {
    const double moment = span * i / kMoments;
    const double random_us = baseline.ExpectedBest(moment / mean_cost);
    const double reached_us = MeanBestAt(runs, moment, baseline.slowest_us());
    const double way_us = random_us - baseline.optimum_us();
    if (way_us > 0) sum += (random_us - reached_us) / way_us;
  }
  return sum / kMoments;
}

absl::Status CheckOptions(const Trace& trace, const ReplayOptions& options) {
  if (std::ranges::none_of(trace.points, IsValid)) {
    return absl::InvalidArgumentError("the trace has no valid config");
  }
  if (options.repeats < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("repeats must be above zero, not %d", options.repeats));
  }
  for (int budget : options.budgets) {
    if (budget >= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("a budget must be above zero, not %d", budget));
  }
  if (options.budgets.empty()) return absl::InvalidArgumentError("budgets: none given");
  return absl::OkStatus();
}

}  // namespace

RandomBaseline::RandomBaseline(const Trace& trace)
    : configs_(static_cast<int64_t>(trace.points.size())) {
  for (const TracePoint& point : trace.points) {
    if (IsValid(point)) times_us_.push_back(point.time_us);
  }
  std::sort(times_us_.begin(), times_us_.end());
}

double RandomBaseline::median_us() const { return times_us_[(times_us_.size() - 1) / 2]; }

double RandomBaseline::ExpectedBestOf(int64_t draws) const {
  if (draws <= 0) return slowest_us();
  // P(the i-th fastest is the best drawn) = C(configs - i, draws - 1) / C(configs, draws), from the
  // one before it.
  double probability = static_cast<double>(draws) / static_cast<double>(configs_);
  double left = 1;
  double expected_us = 0;
  for (size_t i = 0; i < times_us_.size(); ++i) {
    expected_us += probability * times_us_[i];
    left -= probability;
    const auto slower = configs_ - static_cast<int64_t>(i) - 1;
    if (slower < draws) break;
    probability *= static_cast<double>(slower - draws + 1) / static_cast<double>(slower);
  }
  return expected_us + std::max(left, 0.0) * slowest_us();
}

double RandomBaseline::ExpectedBest(double draws) const {
  draws = std::clamp(draws, 0.0, static_cast<double>(configs_));
  const auto whole = static_cast<int64_t>(draws);
  const double part = draws - static_cast<double>(whole);
  if (part == 0) return ExpectedBestOf(whole);
  return std::lerp(ExpectedBestOf(whole), ExpectedBestOf(whole + 1), part);
}

int64_t RandomBaseline::DrawsToReach(double fraction) const {
  const double target_us = std::lerp(median_us(), optimum_us(), fraction);
  int64_t low = 1;
  int64_t high = configs_;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (ExpectedBestOf(middle) <= target_us) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

absl::StatusOr<ReplayResult> Replay(const Trace& trace, const StrategyEntry& strategy,
                                    const ReplayOptions& options) {
  RETURN_IF_ERROR(CheckOptions(trace, options));
  const RandomBaseline baseline(trace);
  ReplayResult result;
  Course course;
  course.evaluations = *std::ranges::max_element(options.budgets);
  course.time_is_recorded = TimeIsRecorded(trace);
  double mean_cost = 0;
  for (const TracePoint& point : trace.points) mean_cost += course.Cost(point);
  mean_cost /= static_cast<double>(trace.points.size());
  course.span = static_cast<double>(baseline.DrawsToReach(kCutoff)) * mean_cost;

  std::deque<Run> runs;
  Random seeds{options.seed};
  double inside_ms = 0;
  double trials = 0;
  for (int i = 0; i < options.repeats; ++i) {
    Run& run = runs.emplace_back(trace, strategy, options, seeds.Next(), course);
    run.Go(options, baseline.optimum_us());
    inside_ms += run.InsideMs();
    trials += run.trials();
  }
  for (int budget : options.budgets) {
    result.budgets.push_back(ScoreBudget(runs, budget, baseline.optimum_us()));
  }
  result.score = Score(runs, baseline, course.span, mean_cost);
  result.time_is_recorded = course.time_is_recorded;
  result.score_span = course.span;
  result.mean_trials = trials / options.repeats;
  result.strategy_ms_per_trial = inside_ms / trials;
  return result;
}

}  // namespace moetune
