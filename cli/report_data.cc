#include "cli/report_data.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "db/snapshot.h"

namespace moetune {
namespace {

using DeviceKey = std::pair<std::string, bool>;  // its name; estimated

struct Rows {
  std::shared_ptr<const Winner> winner;
  std::vector<const Measurement*> measurements;
};

auto ShapeOrder(const Problem& problem) {
  const Shape& s = problem.shape;
  return std::tuple(s.op, s.dtype, s.output, s.fusions, s.experts, s.top_k, s.n, s.k, problem.rows,
                    problem.tokens, problem.routing.kinds, problem.routing.counts_hash);
}

struct ByShape {
  bool operator()(const Problem& a, const Problem& b) const {
    return ShapeOrder(a) < ShapeOrder(b);
  }
};

// Those timed as the winner was or, without one, as the newest was: others are not comparable.
std::vector<const Measurement*> Comparable(const Rows& rows) {
  if (rows.measurements.empty()) return {};
  const Environment& wanted =
      rows.winner != nullptr ? rows.winner->environment : rows.measurements.back()->environment;
  std::vector<const Measurement*> comparable;
  std::ranges::copy_if(rows.measurements, std::back_inserter(comparable), [&](const auto* m) {
    const Environment& e = m->environment;
    return std::tie(e.driver, e.nvrtc, e.policy) ==
           std::tie(wanted.driver, wanted.nvrtc, wanted.policy);
  });
  return comparable;
}

std::vector<ConfigTrial> TrialsOf(const std::vector<const Measurement*>& measurements) {
  std::vector<ConfigTrial> trials;
  std::vector<Effort> efforts;  // behind time_us
  std::map<std::pair<std::string, Config>, size_t> known;
  for (const Measurement* m : measurements) {
    const auto [at, added] = known.try_emplace({m->family, m->config}, trials.size());
    if (added) {
      trials.push_back({.family = m->family, .config = m->config, .first_us = m->time_us});
      efforts.push_back(m->effort);
    }
    ConfigTrial& trial = trials[at->second];
    trial.outcome = m->outcome;
    trial.error = m->error;
    if (m->outcome != Outcome::kOk) {
      trial.time_us = 0;
    } else if (trial.time_us == 0 || m->effort >= efforts[at->second]) {
      trial.time_us = m->time_us;
      efforts[at->second] = m->effort;
    }
  }
  return trials;
}

}  // namespace

std::string DeviceReport::Title() const {
  return device.name + (estimated ? ", estimated by the cost model" : "");
}

Report MakeReport(std::string source, const ScanResult& scan) {
  const std::shared_ptr<const Snapshot> snapshot = Snapshot::Fold(nullptr, scan);
  Report report = {.source = std::move(source), .token = snapshot->Token()};
  std::map<DeviceKey, std::map<Problem, Rows, ByShape>> by_device;
  std::map<std::string, DeviceSpec> devices;
  std::set<std::string> sweeps;
  for (const Record& record : scan.records) {
    if (const auto* sweep = std::get_if<Sweep>(&record.row)) sweeps.insert(sweep->id);
    const auto* m = std::get_if<Measurement>(&record.row);
    if (m == nullptr) continue;
    ++report.trials;
    report.newest = std::max(report.newest, m->measured_at);
    devices[m->device.name] = m->device;
    by_device[{m->device.name, m->effort == Effort::kEstimate}][m->problem].measurements.push_back(
        m);
  }
  for (const std::shared_ptr<const Winner>& winner : snapshot->Winners()) {
    report.newest = std::max(report.newest, winner->measured_at);
    devices[winner->device.name] = winner->device;
    by_device[{winner->device.name, winner->estimated}][winner->problem].winner = winner;
  }
  report.sweeps = static_cast<int>(sweeps.size());
  for (const auto& [key, problems] : by_device) {
    DeviceReport& device = report.devices.emplace_back(
        DeviceReport{.device = devices[key.first], .estimated = key.second});
    for (const auto& [problem, rows] : problems) {
      ProblemReport& of = device.problems.emplace_back(ProblemReport{.problem = problem});
      if (rows.winner != nullptr) of.explanation = Explain(rows.winner, rows.measurements);
      of.trials = TrialsOf(Comparable(rows));
    }
  }
  return report;
}

ShortLabels LabelsOf(const std::vector<ProblemReport>& problems) {
  std::vector<std::vector<std::string>> keys;
  std::map<size_t, std::set<std::string>> values;  // of the part at that place
  for (const ProblemReport& report : problems) {
    // The rows of a rank's share stand before the routing, and others have none.
    std::string key = ProblemKey(report.problem);
    if (report.problem.rows == report.problem.tokens * report.problem.shape.top_k) {
      key.insert(key.rfind('/'), 1, '/');
    }
    keys.push_back(absl::StrSplit(key, '/'));
    for (size_t i = 0; i < keys.back().size(); ++i) values[i].insert(keys.back()[i]);
  }
  ShortLabels result;
  for (const std::vector<std::string>& key : keys) {
    std::vector<std::string> common, own;
    for (size_t i = 0; i < key.size(); ++i) {
      if (!key[i].empty()) (values[i].size() > 1 ? own : common).push_back(key[i]);
    }
    result.common = absl::StrJoin(common, " ");
    result.labels.push_back(own.empty() ? result.common : absl::StrJoin(own, " "));
  }
  return result;
}

}  // namespace moetune
