#include "cli/explanation.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace moetune {
namespace {

// Of the estimates, which are all of one kind: as many as a measured winner has beside it.
constexpr size_t kNearestEstimates = 9;

bool SameConditions(const Measurement& measurement, const Winner& winner) {
  const Environment& a = measurement.environment;
  const Environment& b = winner.environment;
  return measurement.problem == winner.problem && measurement.device.name == winner.device.name &&
         std::tie(a.driver, a.nvrtc, a.policy) == std::tie(b.driver, b.nvrtc, b.policy);
}

using ConfigName = std::pair<std::string, Config>;  // with its family

// The fastest estimates; the default among them, however far behind.
std::vector<Measurement> NearestEstimates(const std::map<ConfigName, const Measurement*>& newest,
                                          const Explanation& explanation) {
  std::vector<Measurement> nearest;
  for (const auto& [name, measurement] : newest) {
    if (measurement->outcome == Outcome::kOk) nearest.push_back(*measurement);
  }
  std::ranges::stable_sort(nearest, [&](const Measurement& a, const Measurement& b) {
    return std::tuple(!explanation.IsWinner(a), !explanation.IsDefault(a), a.time_us) <
           std::tuple(!explanation.IsWinner(b), !explanation.IsDefault(b), b.time_us);
  });
  nearest.resize(std::min(nearest.size(), kNearestEstimates));
  return nearest;
}

}  // namespace

bool Explanation::IsWinner(const Measurement& finalist) const {
  return finalist.family == winner->family && finalist.config == winner->config;
}

bool Explanation::IsDefault(const Measurement& finalist) const {
  return finalist.family == winner->default_family && finalist.config == winner->default_config;
}

const Measurement* Explanation::RunnerUp() const {
  const auto at = std::ranges::find_if(finalists, [&](const auto& m) { return !IsWinner(m); });
  return at == finalists.end() ? nullptr : &*at;
}

Explanation Explain(std::shared_ptr<const Winner> winner,
                    std::span<const Measurement* const> measurements) {
  Explanation explanation = {.winner = std::move(winner)};
  std::map<ConfigName, const Measurement*> newest;
  for (const Measurement* measurement : measurements) {
    if (!SameConditions(*measurement, *explanation.winner)) continue;
    ++explanation.trials;
    newest[{measurement->family, measurement->config}] = measurement;
    if (measurement->effort == Effort::kFinal && measurement->outcome == Outcome::kOk &&
        measurement->sweep == explanation.winner->sweep) {
      explanation.finalists.push_back(*measurement);
    }
  }
  explanation.configs = static_cast<int>(newest.size());
  for (const auto& [name, measurement] : newest) {
    if (measurement->outcome == Outcome::kOk) continue;
    Failures& failures = explanation.failures[measurement->outcome];
    ++failures.configs;
    failures.example = measurement->error;
  }
  if (explanation.winner->estimated) {
    explanation.finalists = NearestEstimates(newest, explanation);
  }
  std::ranges::stable_sort(explanation.finalists, {}, &Measurement::time_us);
  return explanation;
}

std::vector<const Measurement*> MeasurementsOf(std::span<const Record> records) {
  std::vector<const Measurement*> measurements;
  for (const Record& record : records) {
    if (const auto* row = std::get_if<Measurement>(&record.row)) measurements.push_back(row);
  }
  return measurements;
}

}  // namespace moetune
