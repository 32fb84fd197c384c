#include "tuner/foresight.h"

#include <algorithm>
#include <cstdint>

namespace moetune {
namespace {

// Of a problem, before the next one has its turn: about what its search tries before it has learnt
// where to look.
constexpr size_t kFront = 64;

void Foresee(const std::stop_token& stop, const std::vector<Problem>& problems,
             const SweepOptions& options, const StrategyEntry& strategy,
             const SweepHistory& history, Evaluator& evaluator) {
  std::vector<std::vector<Candidate>> likely;
  const auto foresee = [&](size_t problem, size_t most) {
    const std::span<const Candidate> trials = likely[problem];
    if (trials.empty() || stop.stop_requested()) return;
    evaluator.Foresee(problems[problem], trials.first(std::min(most, trials.size())));
  };
  for (size_t i = 0; i < problems.size() && !stop.stop_requested(); ++i) {
    likely.push_back(LikelyTrials(problems[i], options, strategy, evaluator, history));
    foresee(i, 1);
  }
  for (const size_t most : {kFront, SIZE_MAX}) {
    for (size_t i = 0; i < likely.size(); ++i) foresee(i, most);
  }
}

}  // namespace

void ExpectDefaults(std::span<const Problem> problems, const SweepOptions& options,
                    const Evaluator& evaluator, SweepHistory& history) {
  if (!options.known) return;
  for (const Problem& problem : problems) {
    const std::vector<Candidate>& ranked = evaluator.Ranked(problem);
    if (!ranked.empty()) history.Expect(problem.shape, ranked.front());
  }
}

std::vector<Candidate> CandidatesOf(const Problem& problem, const SweepOptions& options,
                                    const Evaluator& evaluator, const SweepHistory& history) {
  const std::vector<Family const*>& families = options.families;
  std::vector<Candidate> candidates;
  for (const Candidate& candidate : evaluator.Ranked(problem)) {
    const bool chosen =
        families.empty() || std::ranges::find(families, candidate.family) != families.end();
    const bool allowed = chosen && (!options.known || history.Knows(problem.shape, candidate));
    if (allowed || candidates.empty()) candidates.push_back(candidate);
  }
  return candidates;
}

std::vector<size_t> FirstTrials(const Problem& problem, std::span<const Candidate> candidates,
                                const SweepOptions& options, const SweepHistory& history) {
  if (candidates.empty()) return {};
  std::vector<size_t> first = {0};
  while (first[0] + 1 < candidates.size() &&
         history.FailedElsewhere(problem, candidates[first[0]])) {
    ++first[0];
  }
  for (const Candidate& winner :
       history.WinnersNear(problem, static_cast<size_t>(options.warm_start))) {
    const auto at = std::ranges::find(candidates, winner);
    if (at != candidates.end()) first.push_back(static_cast<size_t>(at - candidates.begin()));
  }
  return first;
}

std::vector<Candidate> LikelyTrials(const Problem& problem, const SweepOptions& options,
                                    const StrategyEntry& strategy, const Evaluator& evaluator,
                                    const SweepHistory& history) {
  const std::vector<Candidate> ranked = CandidatesOf(problem, options, evaluator, history);
  const size_t most = options.budget == 0 ? ranked.size() : static_cast<size_t>(options.budget);
  std::vector<bool> taken(ranked.size());
  size_t trials = 0;
  std::vector<Candidate> likely;
  const auto add = [&](size_t i) {
    if (trials >= most || taken[i]) return;
    taken[i] = true;
    const bool measured = history.Find(problem, ranked[i]) != nullptr;
    const bool failed = history.Failed(problem.shape, ranked[i]);
    if (measured || !failed) ++trials;
    if (!measured && !failed) likely.push_back(ranked[i]);
  };
  for (const size_t first : FirstTrials(problem, ranked, options, history)) add(first);
  if (strategy.learns) {
    for (size_t i = 0; i < ranked.size(); ++i) add(i);
  } else {
    const auto search = strategy.make(ranked, {.seed = options.seed});
    for (const size_t suggested : search->Suggest(ranked.size())) add(suggested);
  }
  return likely;
}

Foresight::Foresight(const std::vector<Problem>& problems, const SweepOptions& options,
                     const StrategyEntry& strategy, const SweepHistory& history,
                     Evaluator& evaluator)
    : thread_([&](const std::stop_token& stop) {
        Foresee(stop, problems, options, strategy, history, evaluator);
      }) {}

}  // namespace moetune
