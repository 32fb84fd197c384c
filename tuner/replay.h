// Replay: runs a search strategy on a recorded space, where an evaluation is a look-up, and scores
// how soon it finds how much. Writes nothing.
#ifndef MOETUNE_TUNER_REPLAY_H_
#define MOETUNE_TUNER_REPLAY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "tuner/search_strategy.h"
#include "tuner/trace.h"

namespace moetune {

struct ReplayOptions {
  int repeats = 100;
  std::vector<int> budgets = {25, 50, 100, 200, 400};  // evaluations
  uint64_t seed = 1;
  double least_gain = 0;      // above 0 the strategy may end by itself (SearchOptions)
  std::vector<Config> first;  // tried before the search begins, as far as the trace has them
};

// What was reached at one budget: optimum / best so far over the repeats, 0 where nothing valid was
// found yet.
struct BudgetScore {
  int budget = 0;
  double mean = 0;
  double p10 = 0;  // 10th percentile
  bool operator==(const BudgetScore&) const = default;
};

struct ReplayResult {
  std::vector<BudgetScore> budgets;

  // The tuning community's score: how much of the way from random search to the optimum is gone,
  // averaged over equally spaced moments; 0 is random search, 1 an optimum found at once. Random
  // search is computed, not simulated. The last moment is when it has gone 95 % of the way from the
  // median to the optimum.
  double score = 0;
  // Else a moment is counted in evaluations, as the trace lacks costs, or they are no times.
  bool time_is_recorded = false;
  double score_span = 0;  // the last moment, in µs or evaluations

  double mean_trials = 0;  // of a repeat; where the strategy can't end, to the optimum
  double strategy_ms_per_trial =
      0;  // processor time of the strategy; of the result all that varies
};

// Every repeat has a strategy of its own, which sees nothing of other repeats. The candidates come
// in the order of their estimates where all have one, as in a sweep, else in an order drawn anew
// for each repeat. Failures count as evaluations. InvalidArgument when the trace has no valid
// config, or an option is not above zero.
absl::StatusOr<ReplayResult> Replay(const Trace& trace, const StrategyEntry& strategy,
                                    const ReplayOptions& options);

// Expected times of the best of k draws without replacement, a failure being as bad as the slowest.
class RandomBaseline {
 public:
  explicit RandomBaseline(const Trace& trace);

  double optimum_us() const { return times_us_.front(); }
  double slowest_us() const { return times_us_.back(); }
  double median_us() const;

  // `draws` in [0, number of configs]; between whole numbers it is interpolated.
  double ExpectedBest(double draws) const;

  // The least whole number of draws that reaches this fraction of the way from median to optimum.
  int64_t DrawsToReach(double fraction) const;

 private:
  double ExpectedBestOf(int64_t draws) const;

  std::vector<double> times_us_;  // of valid configs, ascending
  int64_t configs_ = 0;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_REPLAY_H_
