#include "tuner/sweep_trace.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "kernels/space.h"

namespace moetune {
namespace {

Invalidity InvalidityOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return Invalidity::kCorrect;
    case Outcome::kCompileError:
    case Outcome::kSpills:
    case Outcome::kSerialised:
      return Invalidity::kCompile;
    case Outcome::kWrongResult:
      return Invalidity::kCorrectness;
    case Outcome::kTimeout:
      return Invalidity::kTimeout;
    case Outcome::kLoadError:
    case Outcome::kFault:
    case Outcome::kCrash:
      break;
  }
  return Invalidity::kRuntime;
}

// A list of integers has no form in T4 but a word's.
std::string JsonValue(const Config::Values& values) {
  const std::string text = absl::StrJoin(values, ",");
  return values.size() == 1 ? text : JsonWord(text);
}

std::optional<double> Estimate(const Measurement& m) {
  const absl::StatusOr<const Family*> family = FindFamily(m.family);
  if (!family.ok() || !IsLegal(**family, m.problem, m.config, m.device)) return std::nullopt;
  return EstimateUs(m.problem, {*family, m.config}, m.device, nullptr);
}

RecordedConfig Recorded(const Measurement& m) {
  RecordedConfig recorded;
  recorded.values.emplace_back("family", JsonWord(m.family));
  for (const auto& [name, values] : m.config.entries()) {
    recorded.values.emplace_back(name, JsonValue(values));
  }
  recorded.point = {.invalidity = InvalidityOf(m.outcome),
                    .time_us = m.time_us,
                    .cost = TraceCost{m.compile_ms * 1e3, m.samples * m.time_us},
                    .estimate_us = Estimate(m)};
  return recorded;
}

// Of a trial that passed the first look counts; a failure may come at any.
bool IsTrial(const Measurement& m) {
  return m.outcome != Outcome::kOk || m.effort == Effort::kProbe || m.effort == Effort::kEstimate;
}

}  // namespace

std::vector<TracedProblem> TracedProblems(std::span<const Record> records) {
  std::vector<TracedProblem> all;
  for (const Record& record : records) {
    const auto* m = std::get_if<Measurement>(&record.row);
    if (m == nullptr) continue;
    TracedProblem traced = {m->problem, m->device.name};
    if (std::ranges::find(all, traced) == all.end()) all.push_back(std::move(traced));
  }
  return all;
}

absl::StatusOr<Trace> SweepTrace(std::span<const Record> records, const TracedProblem& traced) {
  std::map<std::string, const Environment*> environments;  // by family
  std::map<std::pair<std::string, Config>, const Measurement*> trials;
  std::set<std::string> names;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    const auto* m = std::get_if<Measurement>(&record->row);
    if (m == nullptr || m->problem != traced.problem || m->device.name != traced.device) continue;
    const Environment& newest = *environments.try_emplace(m->family, &m->environment).first->second;
    if (!IsTrial(*m) || m->environment != newest) continue;
    trials.try_emplace({m->family, m->config}, m);
    for (const auto& [name, values] : m->config.entries()) names.insert(name);
  }
  if (trials.empty()) {
    return absl::NotFoundError(
        absl::StrFormat("no trials of %s on %s", ProblemKey(traced.problem), traced.device));
  }
  std::vector<std::string> parameters = {"family"};
  parameters.insert(parameters.end(), names.begin(), names.end());
  std::vector<RecordedConfig> configs;
  for (const auto& [name, measurement] : trials) configs.push_back(Recorded(*measurement));
  return MakeTrace(parameters, std::move(configs));
}

}  // namespace moetune
