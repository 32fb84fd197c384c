// Foresight: tells an evaluator, beside the sweep, what the sweep's problems are likely to try, so
// that compilers never stand idle: while one problem is timed, they are at work for those to come.
// What a search does, and in which order, does not depend on it.
#ifndef MOETUNE_TUNER_FORESIGHT_H_
#define MOETUNE_TUNER_FORESIGHT_H_

#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "tuner/evaluator.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep.h"
#include "tuner/sweep_history.h"

namespace moetune {

// Tells `history`, where the options leave only known kernels, that the default of every problem of
// the sweep will be one. All are told before the first problem begins: what a problem may try does
// not depend on which others came before it, nor on where a sweep that is resumed was cut short.
void ExpectDefaults(std::span<const Problem> problems, const SweepOptions& options,
                    const Evaluator& evaluator, SweepHistory& history);

// What a sweep may try of a problem, in the cost model's order: of the families that its options
// allow the first choice, which is its default, and what else they allow. Configs that have failed
// are among them.
std::vector<Candidate> CandidatesOf(const Problem& problem, const SweepOptions& options,
                                    const Evaluator& evaluator, const SweepHistory& history);

// The places in `candidates` of what a search begins with: the first of them that has not failed,
// the default as a rule, and what won like problems.
std::vector<size_t> FirstTrials(const Problem& problem, std::span<const Candidate> candidates,
                                const SweepOptions& options, const SweepHistory& history);

// What a search of `problem` is likely to try, and has not tried yet, the likeliest first: the
// default, what won like problems, exactly what it suggests before it has learnt anything, which
// may be all it ever does, and then the order of the cost model.
std::vector<Candidate> LikelyTrials(const Problem& problem, const SweepOptions& options,
                                    const StrategyEntry& strategy, const Evaluator& evaluator,
                                    const SweepHistory& history);

class Foresight {
 public:
  // Begins at once; all is borrowed. First of each problem in turn what nothing can be timed
  // without, then of each the trials of its beginning, then all others.
  Foresight(const std::vector<Problem>& problems, const SweepOptions& options,
            const StrategyEntry& strategy, const SweepHistory& history, Evaluator& evaluator);

 private:
  std::jthread thread_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_FORESIGHT_H_
