// Foresight: tells an evaluator, beside the sweep, what the sweep's problems are likely to try, so
// that compilers never stand idle: while one problem is timed, they are at work for those to come.
// What a search does, and in which order, does not depend on it.
#ifndef MOETUNE_TUNER_FORESIGHT_H_
#define MOETUNE_TUNER_FORESIGHT_H_

#include <stop_token>
#include <thread>
#include <vector>

#include "tuner/evaluator.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep.h"
#include "tuner/sweep_history.h"

namespace moetune {

// What a sweep may try of a problem, in the cost model's order: the default first, and of the
// others those that its options allow.
std::vector<Candidate> CandidatesOf(const Problem& problem, const SweepOptions& options,
                                    const DeviceSpec& device, const SweepHistory& history);

// What a search of `problem` is likely to try, and has not tried yet, the likeliest first: exactly
// its trials where it does not learn; else the default, what won like problems, and the order of
// the cost model.
std::vector<Candidate> LikelyTrials(const Problem& problem, const SweepOptions& options,
                                    const StrategyEntry& strategy, const DeviceSpec& device,
                                    const SweepHistory& history);

class Foresight {
 public:
  // Begins at once; all is borrowed. First the likeliest trials of each problem in turn, then all
  // others.
  Foresight(const std::vector<Problem>& problems, const SweepOptions& options,
            const StrategyEntry& strategy, const SweepHistory& history, Evaluator& evaluator);

 private:
  std::jthread thread_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_FORESIGHT_H_
