#include "tuner/search_strategy.h"

#include <algorithm>
#include <utility>

#include "kernels/cost_model.h"
#include "kernels/names.h"
#include "kernels/registry.h"

namespace moetune {

std::span<const StrategyEntry> Strategies() {
  static constexpr StrategyEntry kStrategies[] = {
      {"exhaustive", "every config, the most promising by the cost model first", MakeExhaustive,
       /*learns=*/false},
      {"random", "configs drawn at random, each at most once", MakeRandom, /*learns=*/false},
      {"genetic", "recombines the best configs seen", MakeGenetic},
      {"local", "tries what differs little from the best, then looks further", MakeLocal},
      {"auto", "learns a model of speed, and tries what should improve most", MakeAuto,
       /*learns=*/true, /*ends_itself=*/true},
  };
  return kStrategies;
}

absl::StatusOr<const StrategyEntry*> FindStrategy(std::string_view name) {
  std::vector<std::string_view> known;
  for (const StrategyEntry& entry : Strategies()) {
    if (entry.name == name) return &entry;
    known.push_back(entry.name);
  }
  return UnknownName("strategy", name, known);
}

std::vector<Candidate> RankCandidates(const Problem& problem, const DeviceSpec& device) {
  std::vector<std::pair<double, Candidate>> ranked;
  for (const Family* family : Families()) {
    for (Config& config : EnumerateLegal(*family, problem, device)) {
      Candidate candidate = {family, std::move(config)};
      const double estimate = EstimateUs(problem, candidate, device, nullptr);
      ranked.emplace_back(estimate, std::move(candidate));
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Candidate> candidates;
  for (auto& [estimate, candidate] : ranked) candidates.push_back(std::move(candidate));
  return candidates;
}

}  // namespace moetune
