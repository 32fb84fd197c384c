// show: all that is known of one problem: its standing winners, and every row before them.
#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

using WinnerPointer = std::shared_ptr<const Winner>;

std::string WinnerText(const Winner& winner) {
  const Environment& environment = winner.environment;
  return FieldsText({
      {"device", winner.device.name},
      {"family", winner.family},
      {"config", winner.config.Text()},
      {"time",
       absl::StrFormat("%s µs (%s to %s), %s", MicrosecondsText(winner.time_us),
                       MicrosecondsText(winner.time_us_low), MicrosecondsText(winner.time_us_high),
                       winner.estimated ? "estimated" : "measured")},
      {"default", absl::StrFormat("%s µs: %s %s", MicrosecondsText(winner.default_time_us),
                                  winner.default_family, winner.default_config.Text())},
      {"speed-up", SpeedupText(winner.Speedup())},
      {"reason", winner.reason},
      {"driver", environment.driver},
      {"nvrtc", environment.nvrtc},
      {"kernel", environment.kernel_fingerprint},
      {"policy", environment.policy},
      {"cubin", winner.cubin_sha256},
      {"sweep", winner.sweep},
      {"at", TimestampText(winner.measured_at)},
  });
}

std::string HistoryText(const std::vector<WinnerRow>& history) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [sequence, uuid, winner] : history) {
    rows.push_back({absl::StrFormat("%d", sequence), TimestampText(winner->measured_at),
                    winner->device.name, winner->family, winner->config.Text(),
                    MicrosecondsText(winner->time_us), SpeedupText(winner->Speedup()),
                    winner->estimated ? "estimated" : "measured", winner->environment.driver});
  }
  return TableText(
      {"row", "at", "device", "family", "config", "µs", "speed-up", "source", "driver"}, rows);
}

Json ShowJson(const Problem& problem, const std::vector<WinnerPointer>& standing,
              const std::vector<WinnerRow>& history) {
  Json winners = Json::array();
  for (const WinnerPointer& winner : standing) winners.push_back(WinnerJson(*winner));
  Json rows = Json::array();
  for (const WinnerRow& row : history) {
    Json json = {{"sequence", row.sequence}, {"uuid", row.uuid}};
    json.update(WinnerJson(*row.winner));
    rows.push_back(std::move(json));
  }
  return {{"problem", ProblemKey(problem)},
          {"winners", std::move(winners)},
          {"history", std::move(rows)}};
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  std::vector<std::string> keys;
  bool json = false;
  Options options("moetune show KEY [--db FILE] [--json]",
                  "Prints the winners of one problem in full, and the rows that they superseded.");
  options.Words("KEY", &keys, 1, "the problem, as `moetune list` prints it");
  AddDatabaseOption(options, &db);
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (keys.empty()) return UsageError("show takes the KEY of a problem");
  const absl::StatusOr<Problem> problem = ParseProblem(keys.front());
  if (!problem.ok()) return UsageError(problem.status());

  ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot, ReadSnapshot(db));
  std::vector<WinnerPointer> standing = snapshot->Winners();
  std::erase_if(standing, [&](const WinnerPointer& w) { return !(w->problem == *problem); });
  const std::vector<WinnerRow> history = snapshot->History(*problem);
  if (standing.empty()) {
    return absl::NotFoundError(absl::StrFormat(
        "no winner of %s; `moetune query` gives the best answer there is", ProblemKey(*problem)));
  }
  if (json) {
    std::cout << JsonText(ShowJson(*problem, standing, history));
    return kExitOk;
  }
  std::cout << ProblemKey(*problem) << "\n";
  for (const WinnerPointer& winner : standing) std::cout << "\n" << WinnerText(*winner);
  std::cout << "\nhistory, newest first\n" << HistoryText(history);
  return kExitOk;
}

}  // namespace

extern const Command kShowCommand;
const Command kShowCommand = {
    .name = "show",
    .summary = "the winners of one problem, and their history",
    .run = Run,
};

}  // namespace moetune
