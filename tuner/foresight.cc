#include "tuner/foresight.h"

#include <algorithm>
#include <cstdint>

namespace moetune {
namespace {

// The first trial, which a search waits for, and of each family the first: it takes the family's
// base to verify it.
std::vector<Candidate> FirstOfEachFamily(std::span<const Candidate> trials) {
  std::vector<Candidate> first;
  for (const Candidate& trial : trials) {
    if (std::ranges::find(first, trial.family, &Candidate::family) == first.end()) {
      first.push_back(trial);
    }
  }
  return first;
}

void Foresee(const std::stop_token& stop, const std::vector<Problem>& problems,
             const SweepOptions& options, const StrategyEntry& strategy,
             const SweepHistory& history, Evaluator& evaluator) {
  std::vector<std::vector<Candidate>> likely;
  for (const Problem& problem : problems) {
    if (stop.stop_requested()) return;
    likely.push_back(LikelyTrials(problem, options, strategy, evaluator, history));
    evaluator.Foresee(problem, FirstOfEachFamily(likely.back()));
  }
  for (const size_t most : {static_cast<size_t>(options.look_ahead), SIZE_MAX}) {
    for (size_t i = 0; i < problems.size() && !stop.stop_requested(); ++i) {
      const std::span<const Candidate> trials = likely[i];
      evaluator.Foresee(problems[i], trials.first(std::min(most, trials.size())));
    }
  }
}

bool IsChosen(const Candidate& candidate, const SweepOptions& options) {
  return options.families.empty() ||
         std::ranges::find(options.families, candidate.family) != options.families.end();
}

}  // namespace

void ExpectDefaults(std::span<const Problem> problems, const SweepOptions& options,
                    const Evaluator& evaluator, SweepHistory& history) {
  if (!options.known) return;
  for (const Problem& problem : problems) {
    const std::vector<Candidate>& ranked = evaluator.Ranked(problem);
    const auto first = std::ranges::find_if(
        ranked, [&](const Candidate& candidate) { return IsChosen(candidate, options); });
    if (first != ranked.end()) history.Expect(problem.shape, *first);
  }
}

std::vector<Candidate> CandidatesOf(const Problem& problem, const SweepOptions& options,
                                    const Evaluator& evaluator, const SweepHistory& history) {
  std::vector<Candidate> candidates;
  for (const Candidate& candidate : evaluator.Ranked(problem)) {
    if (!IsChosen(candidate, options)) continue;
    const bool is_default = candidates.empty();
    if (is_default || !options.known || history.Knows(problem.shape, candidate)) {
      candidates.push_back(candidate);
    }
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
  const auto search = strategy.make(ranked, {.seed = options.seed});
  const auto blind = strategy.learns ? static_cast<size_t>(options.look_ahead) : ranked.size();
  for (const size_t suggested : search->Suggest(blind)) add(suggested);
  for (size_t i = 0; i < ranked.size(); ++i) add(i);
  return likely;
}

Foresight::Foresight(const std::vector<Problem>& problems, const SweepOptions& options,
                     const StrategyEntry& strategy, const SweepHistory& history,
                     Evaluator& evaluator)
    : thread_([&](const std::stop_token& stop) {
        Foresee(stop, problems, options, strategy, history, evaluator);
      }) {}

}  // namespace moetune
