// The log in a SQLite file: the store of every database on disk. docs/database.md describes the
// tables, the versions and what may go wrong.
#ifndef MOETUNE_DB_SQLITE_STORE_H_
#define MOETUNE_DB_SQLITE_STORE_H_

#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "db/database_file.h"
#include "db/store.h"
#include "kernels/source.h"

namespace moetune {

// db/schema/NNN_*.sql in order: file i takes a database from version i to i + 1.
std::span<const EmbeddedFile> EmbeddedSchema();

// PRAGMA application_id of every moetune database: "moet".
inline constexpr int64_t kApplicationId = 0x6d6f6574;

struct SqliteOptions {
  std::span<const EmbeddedFile> schema = EmbeddedSchema();
  std::string (*file_system)(const std::string& path) = FileSystemName;
  int busy_timeout_ms = 60'000;  // how long one waits for a lock of another process
};

// Creates the file, or brings an older one to the newest version, when opened for writing. Any
// number of threads and processes may have it open; writers take turns.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path, OpenMode mode,
                                                       const SqliteOptions& options = {});

}  // namespace moetune

#endif  // MOETUNE_DB_SQLITE_STORE_H_
