// merge: the records of several databases in one.
#include <algorithm>
#include <iostream>
#include <iterator>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "db/merge.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  std::vector<std::string> from;
  Options options(
      "moetune merge --db FILE FROM...",
      "Adds the records of other databases, such as those of the shards of one sweep, to FILE. A "
      "record that it holds already is left out, so that a merge may be repeated. Of the winners "
      "of one problem and device the one measured last stands. Every database is read before the "
      "first record is written.");
  AddDatabaseOption(options, &db);
  options.Words("FROM", &from, -1, "the databases to merge; none of them is changed");
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (from.empty()) return UsageError("merge: name at least one database to merge FROM");

  std::vector<Record> records;
  for (const std::string& other : from) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(other, OpenMode::kReadOnly));
    ASSIGN_OR_RETURN(ScanResult scan, store->Scan(0));
    std::ranges::move(scan.records, std::back_inserter(records));
  }
  const size_t read = records.size();
  ASSIGN_OR_RETURN(const std::string path, WritableDatabasePath(db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadWrite));
  ASSIGN_OR_RETURN(const int added, Merge(std::move(records), *store));
  RETURN_IF_ERROR(store->Close());
  std::cout << absl::StrFormat("%d of %d records added to %s\n", added, read, path);
  return kExitOk;
}

}  // namespace

extern const Command kMergeCommand;
const Command kMergeCommand = {
    .name = "merge",
    .summary = "add the records of other databases to one",
    .run = Run,
};

}  // namespace moetune
