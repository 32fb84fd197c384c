// import: copies records from other databases and text files into one. Repeating it adds nothing.
#include <algorithm>
#include <iostream>
#include <iterator>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/text_file.h"
#include "db/merge.h"
#include "db/text_format.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// How a file of SQLite begins; all else is read as text.
constexpr std::string_view kSqliteMagic = "SQLite format 3";

absl::StatusOr<std::vector<Record>> ReadRecords(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  if (text.starts_with(kSqliteMagic)) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
    ASSIGN_OR_RETURN(ScanResult scan, store->Scan(0));
    return std::move(scan.records);
  }
  absl::StatusOr<std::vector<Record>> records = ReadText(text);
  if (records.ok()) return records;
  return absl::Status(records.status().code(),
                      absl::StrFormat("'%s': %s", path, records.status().message()));
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  std::vector<std::string> from;
  Options options(
      "moetune import [--db FILE] FROM...",
      "Copies the records of text files (moetune export) and of other databases into one. "
      "A record that it holds already is left out, and so is a winner that is older than the one "
      "that stands. Every file is read before the first record is written.");
  AddDatabaseOption(options, &db);
  options.Words("FROM", &from, -1, "text files and databases");
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (from.empty()) return UsageError("import: name at least one file to import FROM");

  std::vector<Record> records;
  for (const std::string& path : from) {
    ASSIGN_OR_RETURN(std::vector<Record> of_file, ReadRecords(path));
    std::ranges::move(of_file, std::back_inserter(records));
  }
  ASSIGN_OR_RETURN(const std::string path, WritableDatabasePath(db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadWrite));
  const size_t read = records.size();
  ASSIGN_OR_RETURN(const int added, Merge(std::move(records), *store));
  RETURN_IF_ERROR(store->Close());
  std::cout << absl::StrFormat("%d of %d records added to %s\n", added, read, path);
  return kExitOk;
}

}  // namespace

extern const Command kImportCommand;
const Command kImportCommand = {
    .name = "import",
    .summary = "copy records from text files and other databases",
    .run = Run,
};

}  // namespace moetune
