// export: a database as text that people can read, diff and keep in git; or the trials of one of
// its problems, in the format that the community of autotuning shares.
#include <algorithm>
#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "db/text_format.h"
#include "kernels/device_spec.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"
#include "tuner/sweep_trace.h"

namespace moetune {
namespace {

// The standing winners alone, as the records they came from.
std::vector<Record> Standing(const ScanResult& scan) {
  const std::shared_ptr<const Snapshot> snapshot = Snapshot::Fold(nullptr, scan);
  std::vector<Record> standing;
  for (const std::shared_ptr<const Winner>& winner : snapshot->Winners()) {
    // The newest record of an equal row is the one that stands.
    const auto at = std::find_if(scan.records.rbegin(), scan.records.rend(), [&](const Record& r) {
      const auto* row = std::get_if<Winner>(&r.row);
      return row != nullptr && *row == *winner;
    });
    if (at != scan.records.rend()) standing.push_back(*at);
  }
  return standing;
}

struct ExportOptions {
  std::string db;
  std::string format = "text";
  bool winners = false;
  std::string problem;
  std::string device_name;
};

absl::Status Check(const ExportOptions& asked) {
  if (asked.format != "text" && asked.format != "t4") {
    return UnknownName("format", asked.format, {"text", "t4"});
  }
  const bool t4 = asked.format == "t4";
  if (t4 && asked.winners) {
    return absl::InvalidArgumentError("export: --winners is for --format text");
  }
  if (!t4 && !(asked.problem + asked.device_name).empty()) {
    return absl::InvalidArgumentError("export: --problem and --device-name are for --format t4");
  }
  return asked.problem.empty() ? absl::OkStatus() : ParseProblem(asked.problem).status();
}

// The one that fits what was asked.
absl::StatusOr<TracedProblem> ChooseTraced(const ExportOptions& asked,
                                           std::span<const Record> records) {
  std::string device = asked.device_name;
  if (const auto known = FindKnownDevice(device); known.ok()) device = known->name;
  std::vector<TracedProblem> fitting = TracedProblems(records);
  std::erase_if(fitting, [&](const TracedProblem& traced) {
    return (!asked.problem.empty() && ParseProblem(asked.problem).value() != traced.problem) ||
           (!device.empty() && device != traced.device);
  });
  if (fitting.size() == 1) return fitting.front();
  if (fitting.empty()) {
    return absl::NotFoundError(
        absl::StrFormat("the database has no trials of %s on %s",
                        asked.problem.empty() ? "any problem" : asked.problem,
                        device.empty() ? "any device" : "'" + device + "'"));
  }
  constexpr size_t kMost = 8;
  std::string message =
      "a T4 file holds one problem on one device; choose by --problem and --device-name: ";
  for (size_t i = 0; i < std::min(kMost, fitting.size()); ++i) {
    absl::StrAppendFormat(&message, "%s%s on %s", i == 0 ? "" : "; ",
                          ProblemKey(fitting[i].problem), fitting[i].device);
  }
  if (fitting.size() > kMost) {
    absl::StrAppendFormat(&message, "; and %d more", fitting.size() - kMost);
  }
  return absl::InvalidArgumentError(message);
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  ExportOptions asked;
  Options options(
      "moetune export [--db FILE] [--winners] | [--db FILE] --format t4 [--problem KEY]",
      "Prints the records of a database in the text format that `import` reads "
      "(docs/database.md); or the trials of one problem in T4, which `replay` and other autotuners "
      "read.");
  AddDatabaseOption(options, &asked.db);
  options.Flag("winners", &asked.winners, "only the standing winners: what is worth shipping");
  options.Text("format", "NAME", &asked.format, "text or t4 (default: text)");
  options.Text("problem", "KEY", &asked.problem, "of the trials, where there are several");
  options.Text("device-name", "NAME", &asked.device_name,
               "the GPU of the trials, where there are several");
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  RETURN_IF_ERROR(UsageError(Check(asked)));

  ASSIGN_OR_RETURN(const std::string path, DatabasePath(asked.db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const ScanResult scan, store->Scan(0));
  if (asked.format == "t4") {
    ASSIGN_OR_RETURN(const TracedProblem traced, ChooseTraced(asked, scan.records));
    ASSIGN_OR_RETURN(const Trace trace, SweepTrace(scan.records, traced));
    std::cout << T4Text(trace);
  } else {
    std::cout << WriteText(asked.winners ? Standing(scan) : scan.records);
  }
  return kExitOk;
}

}  // namespace

extern const Command kExportCommand;
const Command kExportCommand = {
    .name = "export",
    .summary = "a database as text, or a problem's trials as a recorded space",
    .run = Run,
};

}  // namespace moetune
