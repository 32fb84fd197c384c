// explain: why the winner of a problem won, and by how much.
#include <algorithm>
#include <iostream>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "cli/shared_options.h"
#include "cli/stale_here.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"
#include "tuner/routing.h"
#include "tuner/service/device_choice.h"

namespace moetune {
namespace {

struct Explained {
  Explanation explanation;
  std::vector<std::string> stale;
};

std::string CandidateText(const std::string& family, const Config& config) {
  return absl::StrFormat("%s %s", family, config.Text());
}

// "NAME, 812.5 µs; the winner is 1.31x as fast".
std::string MarginText(const Winner& winner, double time_us, const std::string& name) {
  return absl::StrFormat("%s, %s µs; the winner is %s as fast", name, MicrosecondsText(time_us),
                         SpeedupText(time_us / winner.time_us));
}

// "softmax 100.0, zipf 140.0": the median on each routing of a mix, in µs.
std::string RoutingTimesText(const Measurement& m) {
  std::vector<std::string> times;
  const std::vector<Problem> each = EachRouting(m.problem);
  for (size_t i = 0; i < std::min(each.size(), m.routing_us.size()); ++i) {
    times.push_back(
        absl::StrFormat("%s %s", RoutingText(each[i].routing), MicrosecondsText(m.routing_us[i])));
  }
  return absl::StrJoin(times, ", ");
}

// What no finalist has: it is another kind of problem, or an older row.
void DropEmptyColumns(std::vector<std::string>& header,
                      std::vector<std::vector<std::string>>& rows) {
  for (size_t column = header.size(); column-- > 0;) {
    const auto empty = [&](const std::vector<std::string>& row) { return row[column].empty(); };
    if (!std::ranges::all_of(rows, empty)) continue;
    const auto offset = static_cast<std::ptrdiff_t>(column);
    header.erase(header.begin() + offset);
    for (std::vector<std::string>& row : rows) row.erase(row.begin() + offset);
  }
}

std::string FinalistsText(const Explanation& explanation) {
  std::vector<std::vector<std::string>> rows;
  for (const Measurement& m : explanation.finalists) {
    const bool estimated = m.effort == Effort::kEstimate;
    rows.push_back({m.family, m.config.Text(), MicrosecondsText(m.time_us),
                    estimated ? "" : MicrosecondsText(m.time_us_mad),
                    m.hot_us > 0 ? MicrosecondsText(m.hot_us) : "",
                    estimated ? "" : absl::StrFormat("%d", m.samples),
                    m.sm_clock_mhz > 0 ? absl::StrFormat("%.0f", m.sm_clock_mhz) : "",
                    RoutingTimesText(m), SpeedupText(m.time_us / explanation.winner->time_us),
                    explanation.IsWinner(m)    ? "winner"
                    : explanation.IsDefault(m) ? "default"
                                               : ""});
  }
  std::vector<std::string> header = {"family",    "config", "µs",     "MAD",
                                     "hot µs",    "rounds", "SM MHz", "µs by routing",
                                     "of winner", ""};
  DropEmptyColumns(header, rows);
  return TableText(header, rows);
}

// How the card did in the winner's rounds, as far as it is known; all finalists share them.
std::string CardText(const Explanation& explanation) {
  const auto at = std::ranges::find_if(explanation.finalists,
                                       [&](const auto& m) { return explanation.IsWinner(m); });
  if (at == explanation.finalists.end() || at->effort != Effort::kFinal) return {};
  std::vector<std::string> parts;
  const Clocks& clocks = at->clocks;
  if (at->sm_clock_mhz > 0) parts.push_back(absl::StrFormat("SMs at %.0f MHz", at->sm_clock_mhz));
  if (clocks.power_watts > 0) parts.push_back(absl::StrFormat("%.0f W", clocks.power_watts));
  if (clocks.temperature_c > 0) parts.push_back(absl::StrFormat("%d °C", clocks.temperature_c));
  if (!clocks.throttle.empty()) parts.push_back("held down by " + clocks.throttle);
  if (at->unsteady_rounds > 0) {
    parts.push_back(absl::StrFormat("throttling kept changing in %d round%s", at->unsteady_rounds,
                                    at->unsteady_rounds == 1 ? "" : "s"));
  }
  return absl::StrJoin(parts, ", ");
}

std::string FailuresText(const std::map<Outcome, Failures>& failures) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [outcome, of] : failures) {
    rows.push_back({std::string(OutcomeName(outcome)), absl::StrFormat("%d", of.configs),
                    of.example.substr(0, of.example.find('\n'))});
  }
  return TableText({"failure", "configs", "the newest"}, rows);
}

std::string ExplainedText(const Explained& explained) {
  const Explanation& explanation = explained.explanation;
  const Winner& winner = *explanation.winner;
  const std::string standard = CandidateText(winner.default_family, winner.default_config);
  std::vector<std::pair<std::string, std::string>> fields = {
      {"device", winner.device.name},
      {"winner", CandidateText(winner.family, winner.config)},
      {"time", absl::StrFormat(
                   "%s µs (%s to %s), %s %s", MicrosecondsText(winner.time_us),
                   MicrosecondsText(winner.time_us_low), MicrosecondsText(winner.time_us_high),
                   winner.estimated ? "estimated" : "measured", TimestampText(winner.measured_at))},
      {"why", winner.reason},
      {"default", winner.family == winner.default_family && winner.config == winner.default_config
                      ? "is the winner"
                      : MarginText(winner, winner.default_time_us, standard)},
  };
  if (const Measurement* next = explanation.RunnerUp()) {
    fields.emplace_back(
        "runner-up", MarginText(winner, next->time_us, CandidateText(next->family, next->config)));
  }
  fields.emplace_back("card", CardText(explanation));
  int failed = 0;
  for (const auto& [outcome, of] : explanation.failures) failed += of.configs;
  fields.emplace_back(
      "tried", explanation.trials == 0
                   ? "its trials are not in this database"
                   : absl::StrFormat("%d configs in %d trials; %d failed", explanation.configs,
                                     explanation.trials, failed));
  for (const std::string& reason : explained.stale) fields.emplace_back("stale", reason);
  std::string text = FieldsText(fields);
  if (!explanation.finalists.empty()) {
    absl::StrAppendFormat(&text, "\n%s", FinalistsText(explanation));
  }
  if (failed > 0) absl::StrAppendFormat(&text, "\n%s", FailuresText(explanation.failures));
  return text;
}

Json FinalistJson(const Explanation& explanation, const Measurement& m) {
  return {{"family", m.family},
          {"config", ConfigJson(m.config)},
          {"effort", EffortName(m.effort)},
          {"time_us", m.time_us},
          {"time_us_mad", m.time_us_mad},
          {"hot_us", m.hot_us},
          {"samples", m.samples},
          {"sm_clock_mhz", m.sm_clock_mhz},
          {"power_watts", m.clocks.power_watts},
          {"temperature_c", m.clocks.temperature_c},
          {"throttle", m.clocks.throttle},
          {"unsteady_rounds", m.unsteady_rounds},
          {"routing_us", m.routing_us},
          {"of_winner", m.time_us / explanation.winner->time_us},
          {"winner", explanation.IsWinner(m)},
          {"default", explanation.IsDefault(m)}};
}

Json ExplainedJson(const Explained& explained) {
  const Explanation& explanation = explained.explanation;
  Json json = WinnerJson(*explanation.winner);
  json["stale"] = explained.stale;
  const Measurement* next = explanation.RunnerUp();
  json["runner_up"] = next == nullptr ? Json() : FinalistJson(explanation, *next);
  json["finalists"] = Json::array();
  for (const Measurement& m : explanation.finalists) {
    json["finalists"].push_back(FinalistJson(explanation, m));
  }
  json["trials"] = explanation.trials;
  json["configs"] = explanation.configs;
  json["failures"] = Json::object();
  for (const auto& [outcome, of] : explanation.failures) {
    json["failures"][std::string(OutcomeName(outcome))] = {{"configs", of.configs},
                                                           {"newest", of.example}};
  }
  return json;
}

absl::StatusOr<std::vector<Explained>> ExplainProblem(const std::string& db, const Problem& problem,
                                                      const std::string& device_name) {
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const ScanResult scan,
                   store->Scan(0, {.kinds = kMeasurements | kWinners, .shape = problem.shape}));
  const std::shared_ptr<const Snapshot> snapshot = Snapshot::Fold(nullptr, scan);
  std::string device;
  if (!device_name.empty()) {
    ASSIGN_OR_RETURN(const DeviceSpec chosen, ChooseDevice(device_name, *snapshot));
    device = chosen.name;
  }
  const AskedDevice machine = DeviceOrMachine("");
  const std::vector<const Measurement*> measurements = MeasurementsOf(scan.records);
  std::vector<Explained> all;
  for (const std::shared_ptr<const Winner>& winner : snapshot->Winners()) {
    if (!(winner->problem == problem)) continue;
    if (!device.empty() && winner->device.name != device) continue;
    const bool here = machine.here && machine.spec.name == winner->device.name;
    all.push_back({Explain(winner, measurements), StaleHere(*winner, here)});
  }
  return all;
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  std::string device_name;
  std::vector<std::string> keys;
  bool json = false;
  Options options("moetune explain KEY [--db FILE] [--device-name NAME] [--json]",
                  "Says why the winner of a problem won: what it was compared with and by how much "
                  "it was faster, what else was tried, and how that failed.");
  options.Words("KEY", &keys, 1, "the problem, as `moetune list` prints it");
  AddDatabaseOption(options, &db);
  options.Text("device-name", "NAME", &device_name, "only on this device");
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (keys.empty()) return UsageError("explain takes the KEY of a problem");
  const absl::StatusOr<Problem> problem = ParseProblem(keys.front());
  if (!problem.ok()) return UsageError(problem.status());

  ASSIGN_OR_RETURN(const std::vector<Explained> all, ExplainProblem(db, *problem, device_name));
  if (all.empty()) {
    return absl::NotFoundError(absl::StrFormat(
        "no winner of %s%s; `moetune query` gives the best answer there is", ProblemKey(*problem),
        device_name.empty() ? "" : absl::StrFormat(" on %s", device_name)));
  }
  if (json) {
    Json list = Json::array();
    for (const Explained& explained : all) list.push_back(ExplainedJson(explained));
    std::cout << JsonText(list);
    return kExitOk;
  }
  std::cout << ProblemKey(*problem) << "\n";
  for (const Explained& explained : all) std::cout << "\n" << ExplainedText(explained);
  return kExitOk;
}

}  // namespace

extern const Command kExplainCommand;
const Command kExplainCommand = {
    .name = "explain",
    .summary = "why the winner of a problem won, and by how much",
    .run = Run,
};

}  // namespace moetune
