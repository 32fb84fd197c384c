#include "db/sqlite_store.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "db/mutex.h"
#include "db/sqlite.h"
#include "db/sqlite_rows.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

using sqlite::Access;
using sqlite::Database;
using sqlite::Statement;
using sqlite::Transaction;

// What the file says it is.
struct Identity {
  int64_t application_id = 0;
  int64_t version = 0;
  bool empty = true;  // no tables
};

// Inside a transaction, since another process may be creating or upgrading it.
absl::StatusOr<Identity> ReadIdentity(Database& database) {
  Identity identity;
  ASSIGN_OR_RETURN(const int64_t tables,
                   database.QueryInteger("SELECT count(*) FROM sqlite_schema"));
  identity.empty = tables == 0;
  ASSIGN_OR_RETURN(identity.application_id, database.QueryInteger("PRAGMA application_id"));
  ASSIGN_OR_RETURN(identity.version, database.QueryInteger("PRAGMA user_version"));
  return identity;
}

absl::Status CheckIdentity(const Identity& identity, std::string_view path, OpenMode mode,
                           int64_t newest) {
  if (identity.application_id == 0 && identity.empty) {
    if (mode == OpenMode::kReadWrite) return absl::OkStatus();  // new, and filled by Migrate
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not a moetune database: it is empty", path));
  }
  if (identity.application_id != kApplicationId) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is not a moetune database: it is a SQLite file of another application "
        "(application_id %d, moetune's is %d)",
        path, identity.application_id, kApplicationId));
  }
  if (identity.version > newest) {
    return absl::FailedPreconditionError(
        absl::StrFormat("database '%s' has schema version %d and this program knows versions up to "
                        "%d; use a newer moetune",
                        path, identity.version, newest));
  }
  if (identity.version < newest && mode == OpenMode::kReadOnly) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "database '%s' has schema version %d and this program reads version %d; open "
        "it for writing once to upgrade it, as 'moetune import' does",
        path, identity.version, newest));
  }
  return absl::OkStatus();
}

// Brings the database to the newest version, in one transaction: it has the old version or the new
// one, whatever happens.
absl::Status Migrate(Database& database, std::span<const EmbeddedFile> schema) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentity(database));
  RETURN_IF_ERROR(CheckIdentity(identity, database.path(), OpenMode::kReadWrite,
                                static_cast<int64_t>(schema.size())));
  for (size_t i = static_cast<size_t>(identity.version); i < schema.size(); ++i) {
    if (absl::Status applied = database.Execute(std::string(schema[i].text)); !applied.ok()) {
      return absl::Status(applied.code(),
                          absl::StrFormat("%s: %s", schema[i].path, applied.message()));
    }
  }
  if (identity.version == 0) {
    ASSIGN_OR_RETURN(Statement insert,
                     database.Prepare("INSERT INTO meta VALUES ('database_id', ?1)"));
    insert.Bind(1, NewUuid());
    RETURN_IF_ERROR(insert.Run());
    RETURN_IF_ERROR(
        database.Execute(absl::StrFormat("PRAGMA application_id = %d", kApplicationId)));
  }
  RETURN_IF_ERROR(database.Execute(absl::StrFormat("PRAGMA user_version = %d", schema.size())));
  return transaction.Commit();
}

// Where several processes create one database at once, SQLite may refuse the change of mode without
// waiting, since waiting could lock them all up.
absl::Status EnterWal(Database& database, int busy_timeout_ms) {
  using std::chrono::milliseconds;
  const auto deadline = std::chrono::steady_clock::now() + milliseconds(busy_timeout_ms);
  while (true) {
    const absl::Status status = database.Execute("PRAGMA journal_mode = WAL");
    const bool out_of_time = std::chrono::steady_clock::now() >= deadline;
    if (!absl::IsUnavailable(status) || out_of_time) return status;
    std::this_thread::sleep_for(milliseconds(10));
  }
}

absl::StatusOr<Database> OpenChecked(const std::string& path, OpenMode mode, Access access,
                                     const SqliteOptions& options) {
  ASSIGN_OR_RETURN(Database database, Database::Open(path, access, options.busy_timeout_ms));
  Identity identity;
  {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kRead));
    ASSIGN_OR_RETURN(identity, ReadIdentity(database));
  }
  const auto newest = static_cast<int64_t>(options.schema.size());
  RETURN_IF_ERROR(CheckIdentity(identity, path, mode, newest));
  if (mode == OpenMode::kReadOnly) return database;
  RETURN_IF_ERROR(EnterWal(database, options.busy_timeout_ms));
  // FULL: a committed row survives a power cut, not only a crash of the program.
  RETURN_IF_ERROR(database.Execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"));
  if (identity.version < newest) RETURN_IF_ERROR(Migrate(database, options.schema));
  return database;
}

absl::StatusOr<std::string> ReadDatabaseId(Database& database) {
  ASSIGN_OR_RETURN(Statement query,
                   database.Prepare("SELECT value FROM meta WHERE key = 'database_id'"));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) {
    return absl::DataLossError(
        absl::StrFormat("database '%s' has no database_id in table meta", database.path()));
  }
  return std::string(query.Text(0));
}

class SqliteStore : public Store {
 public:
  SqliteStore(std::string path, OpenMode mode, SqliteOptions options)
      : path_(std::move(path)), mode_(mode), options_(options) {}

  // Reports at once what every call would.
  absl::Status Open() {
    MutexLock lock(mutex_);
    return EnsureOpen();
  }

  absl::StatusOr<int> Append(std::span<const Record> batch,
                             std::optional<int64_t> winners_until) override {
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(EnsureOpen());
    if (mode_ == OpenMode::kReadOnly) {
      return absl::FailedPreconditionError(
          absl::StrFormat("database '%s' was opened read-only", path_));
    }
    for (const Record& record : batch) RETURN_IF_ERROR(ValidateRecord(record));
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(*database_, Transaction::Kind::kWrite));
    if (winners_until.has_value()) {
      ASSIGN_OR_RETURN(const int64_t newest,
                       database_->QueryInteger("SELECT max(sequence) FROM winner"));
      if (newest > *winners_until) {
        return absl::AbortedError(absl::StrFormat("database '%s' has newer winners", path_));
      }
    }
    int added = 0;
    {
      RowWriter writer(*database_);
      for (const Record& record : batch) {
        ASSIGN_OR_RETURN(const bool inserted, writer.Insert(record));
        added += inserted ? 1 : 0;
      }
    }
    RETURN_IF_ERROR(transaction.Commit());
    if (added > 0) data_version_ = kUnknown;
    return added;
  }

  absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) override {
    MutexLock lock(mutex_);
    constexpr int kAttempts = 3;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      RETURN_IF_ERROR(EnsureOpen());
      absl::StatusOr<ScanResult> result = ScanLocked(since, filter);
      if (access_ != Access::kImmutable || StampOf(path_) == stamp_) return result;
      // Someone changed what an immutable handle was reading: the result may mix old and new pages.
      database_.reset();
    }
    return absl::UnavailableError(
        absl::StrFormat("database '%s' keeps changing while it is read", path_));
  }

  absl::Status Close() override {
    MutexLock lock(mutex_);
    closed_ = true;
    database_.reset();
    return absl::OkStatus();
  }

 private:
  // Opens the file unless it is open, in the way that fits it now.
  absl::Status EnsureOpen() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (closed_) {
      return absl::FailedPreconditionError(absl::StrFormat("database '%s' is closed", path_));
    }
    RETURN_IF_ERROR(CheckNotReplaced());
    if (database_.has_value()) return absl::OkStatus();
    data_version_ = kUnknown;
    stamp_ = StampOf(path_);
    access_ = Access::kReadWrite;
    if (mode_ == OpenMode::kReadOnly) {
      access_ = NeedsImmutable(path_) ? Access::kImmutable : Access::kReadOnly;
    }
    absl::StatusOr<Database> opened = OpenChecked(path_, mode_, access_, options_);
    if (absl::IsPermissionDenied(opened.status()) && mode_ == OpenMode::kReadOnly &&
        stamp_.log_bytes > 0) {
      return absl::PermissionDeniedError(absl::StrFormat(
          "database '%s' cannot be read here: '%s-wal' holds rows that are not in it yet, and its "
          "folder cannot be written; copy both to a folder that can, and open the copy",
          path_, path_));
    }
    RETURN_IF_ERROR(opened.status());
    Database database = *std::move(opened);
    ASSIGN_OR_RETURN(std::string id, ReadDatabaseId(database));
    if (!database_id_.empty() && database_id_ != id) {
      return absl::FailedPreconditionError(
          absl::StrFormat("'%s' was replaced by another database; open it again", path_));
    }
    database_id_ = std::move(id);
    if (stamp_.inode == 0) stamp_ = StampOf(path_);  // it was created just now
    database_ = std::move(database);
    return absl::OkStatus();
  }

  // Another file may take the place of this one, as `mv new.db PATH` does. What was read of the one
  // does not go with the other, even where it is a copy and has the same id.
  absl::Status CheckNotReplaced() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool was_open = !database_id_.empty();
    if (!was_open || !IsReplaced(path_, stamp_)) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrFormat("'%s' was replaced by another file; open it again", path_));
  }

  absl::StatusOr<ScanResult> ScanLocked(int64_t since, const ScanFilter& filter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // data_version changes when another connection commits; Append forgets it for this one. Read
    // before the rows: a commit in between is seen as a change by the next scan.
    ASSIGN_OR_RETURN(const int64_t version, database_->QueryInteger("PRAGMA data_version"));
    if (version == data_version_ && since >= last_sequence_) {
      return ScanResult{.database_id = database_id_, .last_sequence = last_sequence_};
    }
    ScanResult result{.database_id = database_id_};
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(*database_, Transaction::Kind::kRead));
    ASSIGN_OR_RETURN(result.last_sequence,
                     database_->QueryInteger("SELECT max(sequence) FROM log"));
    ASSIGN_OR_RETURN(result.records, RowReader(*database_).Read(since, filter));
    RETURN_IF_ERROR(transaction.Commit());
    data_version_ = version;
    last_sequence_ = result.last_sequence;
    return result;
  }

  static constexpr int64_t kUnknown = -1;  // no data_version is negative

  const std::string path_;
  const OpenMode mode_;
  const SqliteOptions options_;
  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Database> database_ ABSL_GUARDED_BY(mutex_);
  Access access_ ABSL_GUARDED_BY(mutex_) = Access::kReadOnly;
  FileStamp stamp_ ABSL_GUARDED_BY(mutex_);  // when it was opened
  std::string database_id_ ABSL_GUARDED_BY(mutex_);
  int64_t data_version_ ABSL_GUARDED_BY(mutex_) = kUnknown;
  int64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;  // as of data_version_
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path, OpenMode mode,
                                                       const SqliteOptions& options) {
  // SQLite keeps its log beside the file that a link points to.
  std::error_code missing;
  std::string target = std::filesystem::canonical(path, missing).string();
  if (missing) target = path;
  RETURN_IF_ERROR(CheckDatabaseFile(target, mode, options.file_system));
  auto store = std::make_unique<SqliteStore>(target, mode, options);
  RETURN_IF_ERROR(store->Open());
  return store;
}

}  // namespace moetune
