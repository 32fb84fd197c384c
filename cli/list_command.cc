// list: the standing winners as a table.
#include <iostream>

#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"
#include "proto/client.h"
#include "tuner/service/device_choice.h"

namespace moetune {
namespace {

using WinnerPointer = std::shared_ptr<const Winner>;

std::string ListText(const std::vector<WinnerPointer>& winners) {
  std::vector<std::vector<std::string>> rows;
  for (const WinnerPointer& winner : winners) {
    rows.push_back({winner->device.name, ProblemKey(winner->problem), winner->family,
                    winner->config.Text(), MicrosecondsText(winner->time_us),
                    SpeedupText(winner->Speedup()), winner->estimated ? "estimated" : "measured"});
  }
  return TableText({"device", "problem", "family", "config", "µs", "speed-up", "source"}, rows);
}

absl::StatusOr<std::vector<WinnerPointer>> FromDatabase(const std::string& db,
                                                        const std::string& device_name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot, ReadSnapshot(db));
  std::vector<WinnerPointer> winners = snapshot->Winners();
  if (device_name.empty()) return winners;
  ASSIGN_OR_RETURN(const DeviceSpec device, ChooseDevice(device_name, *snapshot));
  std::erase_if(winners,
                [&](const WinnerPointer& winner) { return winner->device.name != device.name; });
  return winners;
}

absl::StatusOr<std::vector<WinnerPointer>> FromServer(const std::string& server,
                                                      const std::string& device_name) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, Client::Connect(server));
  ASSIGN_OR_RETURN(std::vector<Winner> listed, client->ListWinners(device_name));
  std::vector<WinnerPointer> winners;
  for (Winner& winner : listed) winners.push_back(std::make_shared<Winner>(std::move(winner)));
  return winners;
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  std::string server;
  std::string device_name;
  bool json = false;
  Options options("moetune list [--db FILE | --server HOST:PORT] [OPTION...]",
                  "Prints the winners: each problem's best config on each device.");
  AddSourceOptions(options, &db, &server);
  options.Text("device-name", "NAME", &device_name, "only those of this device");
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  RETURN_IF_ERROR(CheckSource(db, server));

  ASSIGN_OR_RETURN(const std::vector<WinnerPointer> winners, server.empty()
                                                                 ? FromDatabase(db, device_name)
                                                                 : FromServer(server, device_name));
  if (json) {
    Json list = Json::array();
    for (const WinnerPointer& winner : winners) list.push_back(WinnerJson(*winner));
    std::cout << JsonText(list);
  } else if (winners.empty()) {
    std::cout << "no winners\n";
  } else {
    std::cout << ListText(winners);
  }
  return kExitOk;
}

}  // namespace

extern const Command kListCommand;
const Command kListCommand = {
    .name = "list",
    .summary = "the winners that a database or a server has",
    .run = Run,
};

}  // namespace moetune
