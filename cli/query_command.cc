// query: the best known config of a problem, from a database or from a server; the answer is the
// same.
#include <iostream>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/stale_here.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"
#include "proto/client.h"
#include "tuner/service/device_choice.h"

namespace moetune {
namespace {

struct QueryOptions {
  std::string db;
  std::string server;
  ProblemOptions problem;
  std::string device_name;
  bool json = false;
};

absl::StatusOr<Answer> AskWinners(Store& store, const ScanFilter& filter, const Problem& problem,
                                  DeviceSpec device) {
  ASSIGN_OR_RETURN(ScanResult scan, store.Scan(0, filter));
  const std::shared_ptr<const Snapshot> snapshot = Snapshot::Fold(nullptr, std::move(scan));
  if (device.compute_capability == 0) {
    ASSIGN_OR_RETURN(device, ChooseDevice(device.name, *snapshot));
  }
  ASSIGN_OR_RETURN(Choice choice, snapshot->Lookup(problem, device));
  return Answer{.choice = std::move(choice), .snapshot_token = snapshot->Token()};
}

absl::StatusOr<Answer> AskDatabase(const std::string& db, const Problem& problem,
                                   const DeviceSpec& device) {
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  // The first two tiers depend on the winners of the shape alone, and reading all others is most of
  // the time that a query takes. Which device is meant, where none is named, depends on all.
  if (!device.name.empty()) {
    const ScanFilter of_shape = {.kinds = kWinners, .shape = problem.shape};
    absl::StatusOr<Answer> answer = AskWinners(*store, of_shape, problem, device);
    if (answer.ok() && answer->choice.tier <= Tier::kBucket) return answer;
  }
  return AskWinners(*store, {.kinds = kWinners}, problem, device);
}

absl::StatusOr<Answer> AskServer(const std::string& server, const Problem& problem,
                                 const DeviceSpec& device) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, Client::Connect(server));
  return client->Lookup(problem, device, {});
}

std::string AnswerText(const Problem& asked, const Answer& answer) {
  const Choice& choice = answer.choice;
  const Winner& winner = *choice.winner;
  std::vector<std::pair<std::string, std::string>> fields = {
      {"problem", ProblemKey(asked)},
      {"tier", std::string(TierName(choice.tier))},
  };
  if (!(winner.problem == asked)) {
    fields.emplace_back("matched", absl::StrFormat("%s, at distance %.2f",
                                                   ProblemKey(winner.problem), choice.distance));
  }
  fields.emplace_back("device", winner.device.name);
  fields.emplace_back("family", winner.family);
  fields.emplace_back("config", winner.config.Text());
  if (choice.tier == Tier::kDefault) {
    fields.emplace_back("time", "not measured: the cost model's first choice");
  } else {
    fields.emplace_back(
        "time", absl::StrFormat("%s µs, %s over the default's %s µs, %s %s",
                                MicrosecondsText(winner.time_us), SpeedupText(winner.Speedup()),
                                MicrosecondsText(winner.default_time_us),
                                winner.estimated ? "estimated" : "measured",
                                TimestampText(winner.measured_at)));
  }
  for (const std::string& reason : answer.stale) fields.emplace_back("stale", reason);
  return FieldsText(fields);
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  QueryOptions query;
  Options options("moetune query [--db FILE | --server HOST:PORT] --problem KEY [OPTION...]",
                  "Prints the best known config of a problem, and how good the answer is.");
  AddSourceOptions(options, &query.db, &query.server);
  AddProblemOptions(options, &query.problem);
  AddDeviceNameOption(options, &query.device_name);
  AddJsonOption(options, &query.json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  RETURN_IF_ERROR(CheckSource(query.db, query.server));
  ASSIGN_OR_RETURN(const Problem problem, ToProblem(query.problem));
  const AskedDevice device = DeviceOrMachine(query.device_name);

  ASSIGN_OR_RETURN(Answer answer, query.server.empty()
                                      ? AskDatabase(query.db, problem, device.spec)
                                      : AskServer(query.server, problem, device.spec));
  if (answer.choice.tier != Tier::kDefault) {
    answer.stale = StaleHere(*answer.choice.winner, device.here);
  }
  if (query.json) {
    std::cout << JsonText(AnswerJson(problem, answer));
  } else {
    std::cout << AnswerText(problem, answer);
  }
  return kExitOk;
}

}  // namespace

extern const Command kQueryCommand;
const Command kQueryCommand = {
    .name = "query",
    .summary = "the best known config of a problem",
    .run = Run,
};

}  // namespace moetune
