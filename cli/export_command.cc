// export: a database as text that people can read, diff and keep in git.
#include <algorithm>
#include <iostream>

#include "cli/command.h"
#include "cli/shared_options.h"
#include "db/text_format.h"
#include "kernels/status_macros.h"

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

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  bool winners = false;
  Options options("moetune export [--db FILE] [--winners]",
                  "Prints the records of a database in the text format that `import` reads "
                  "(docs/database.md).");
  AddDatabaseOption(options, &db);
  options.Flag("winners", &winners, "only the standing winners: what is worth shipping");
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;

  ASSIGN_OR_RETURN(const std::string path, DatabasePath(db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const ScanResult scan, store->Scan(0));
  std::cout << WriteText(winners ? Standing(scan) : scan.records);
  return kExitOk;
}

}  // namespace

extern const Command kExportCommand;
const Command kExportCommand = {
    .name = "export",
    .summary = "a database as text",
    .run = Run,
};

}  // namespace moetune
