#include "tuner/foresight.h"

#include <algorithm>

namespace moetune {
namespace {

// Of a problem, before the next one has its turn: about what its search tries before it has learnt
// where to look.
constexpr size_t kFront = 64;

void Foresee(const std::stop_token& stop, const std::vector<Problem>& problems,
             const SweepOptions& options, const StrategyEntry& strategy,
             const SweepHistory& history, Evaluator& evaluator) {
  std::vector<std::vector<Candidate>> likely;
  for (const Problem& problem : problems) {
    if (stop.stop_requested()) return;
    likely.push_back(LikelyTrials(problem, options, strategy, evaluator.device(), history));
    const std::vector<Candidate>& trials = likely.back();
    evaluator.Foresee(problem, std::span(trials).first(std::min(kFront, trials.size())));
  }
  for (size_t i = 0; i < problems.size() && !stop.stop_requested(); ++i) {
    evaluator.Foresee(problems[i], likely[i]);
  }
}

}  // namespace

std::vector<Candidate> CandidatesOf(const Problem& problem, const SweepOptions& options,
                                    const DeviceSpec& device, const SweepHistory& history) {
  std::vector<Candidate> candidates = RankCandidates(problem, device, options.families);
  if (!options.known || candidates.empty()) return candidates;
  const Candidate standard = candidates.front();
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate != standard && !history.Runs(problem.shape, candidate);
  });
  return candidates;
}

std::vector<Candidate> LikelyTrials(const Problem& problem, const SweepOptions& options,
                                    const StrategyEntry& strategy, const DeviceSpec& device,
                                    const SweepHistory& history) {
  const std::vector<Candidate> ranked = CandidatesOf(problem, options, device, history);
  std::vector<Candidate> likely;
  const auto add = [&](const Candidate& candidate) {
    const bool done =
        history.Failed(problem.shape, candidate) || history.Find(problem, candidate) != nullptr;
    if (!done) likely.push_back(candidate);
  };
  const size_t most = options.budget == 0
                          ? ranked.size()
                          : std::min(ranked.size(), static_cast<size_t>(options.budget));
  if (strategy.learns) {
    if (!ranked.empty()) add(ranked.front());
    for (const Candidate& winner :
         history.WinnersNear(problem, static_cast<size_t>(options.warm_start))) {
      if (std::ranges::find(ranked, winner) != ranked.end()) add(winner);
    }
    for (size_t i = 1; i < most; ++i) add(ranked[i]);
  } else {
    const auto search = strategy.make(ranked, {.seed = options.seed});
    for (const size_t suggested : search->Suggest(most)) add(ranked[suggested]);
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
