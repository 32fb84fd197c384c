#include "db/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune::sqlite {
namespace {

struct ErrorKind {
  int result;  // primary result code
  absl::StatusCode code;
  std::string_view advice;
};
constexpr ErrorKind kErrorKinds[] = {
    {SQLITE_BUSY, absl::StatusCode::kUnavailable, "; another process keeps it locked"},
    {SQLITE_PROTOCOL, absl::StatusCode::kUnavailable, "; another process keeps it locked"},
    {SQLITE_FULL, absl::StatusCode::kResourceExhausted,
     "; nothing was written, make room and try again"},
    {SQLITE_NOMEM, absl::StatusCode::kResourceExhausted, ""},
    {SQLITE_CORRUPT, absl::StatusCode::kDataLoss,
     "; restore a backup, or save what is left with the sqlite3 program's .recover"},
    {SQLITE_READONLY, absl::StatusCode::kPermissionDenied, ""},
    {SQLITE_PERM, absl::StatusCode::kPermissionDenied, ""},
    {SQLITE_CANTOPEN, absl::StatusCode::kPermissionDenied, ""},
};

// `handle` may be null: then there is no more detail than the code.
absl::Status Error(std::string_view path, int result, sqlite3* handle) {
  int primary = result & 0xff;
  if (primary == SQLITE_NOTADB) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not a moetune database: it is no SQLite file", path));
  }
  std::string detail = handle == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle);
  if (primary == SQLITE_IOERR && handle != nullptr) {
    const int cause = sqlite3_system_errno(handle);
    if (cause != 0) detail += ": " + std::generic_category().message(cause);
    // A full disk on which not even the log's index fits.
    if (cause == ENOSPC) primary = SQLITE_FULL;
  }
  for (const ErrorKind& kind : kErrorKinds) {
    if (kind.result != primary) continue;
    return absl::Status(kind.code,
                        absl::StrFormat("database '%s': %s%s", path, detail, kind.advice));
  }
  return absl::InternalError(absl::StrFormat("database '%s': %s", path, detail));
}

// A file: URI of any path: every byte that could mean something in a URI is escaped.
std::string Uri(const std::string& path, Access access) {
  std::error_code ignored;  // an absolute path needs no working directory
  std::string uri = "file:";
  for (const unsigned char c : std::filesystem::absolute(path, ignored).string()) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    uri += plain ? std::string(1, static_cast<char>(c)) : absl::StrFormat("%%%02x", c);
  }
  return access == Access::kImmutable ? uri + "?immutable=1" : uri;
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement::Statement(const std::string* path, sqlite3_stmt* statement)
    : path_(path), statement_(statement) {}

void Statement::Bind(int parameter, int64_t value) {
  const int result = sqlite3_bind_int64(statement_.get(), parameter, value);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

void Statement::Bind(int parameter, double value) {
  const int result = sqlite3_bind_double(statement_.get(), parameter, value);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

void Statement::Bind(int parameter, std::string_view text) {
  // A null pointer would bind NULL: an empty view may hold one.
  const char* data = text.data() == nullptr ? "" : text.data();
  const int result = sqlite3_bind_text64(statement_.get(), parameter, data, text.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

absl::StatusOr<bool> Statement::Step() {
  if (bind_result_ != SQLITE_OK) {
    return Error(*path_, bind_result_, nullptr);
  }
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  absl::Status status = Error(*path_, result, sqlite3_db_handle(statement_.get()));
  sqlite3_reset(statement_.get());
  return status;
}

absl::Status Statement::Run() {
  ASSIGN_OR_RETURN(bool row, Step());
  while (row) {
    ASSIGN_OR_RETURN(row, Step());
  }
  return absl::OkStatus();
}

void Statement::Reset() { sqlite3_reset(statement_.get()); }

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::Real(int column) const { return sqlite3_column_double(statement_.get(), column); }

std::string_view Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr ? std::string_view() : std::string_view(text, static_cast<size_t>(size));
}

void Database::Closer::operator()(sqlite3* handle) const { sqlite3_close(handle); }

Database::Database(std::string path, sqlite3* handle)
    : path_(std::make_unique<std::string>(std::move(path))), handle_(handle) {}

absl::StatusOr<Database> Database::Open(const std::string& path, Access access,
                                        int busy_timeout_ms) {
  const int mode = access == Access::kReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                : SQLITE_OPEN_READONLY;
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(Uri(path, access).c_str(), &handle,
                      mode | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                      /*zVfs=*/nullptr);
  Database database(path, handle);
  if (result != SQLITE_OK) {
    return Error(path, result, handle);
  }
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  return database;
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        /*prepFlags=*/0, &statement, /*pzTail=*/nullptr);
  if (result != SQLITE_OK) return Error(*path_, result, handle_.get());
  return Statement(path_.get(), statement);
}

absl::Status Database::Execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result == SQLITE_OK) return absl::OkStatus();
  return Error(*path_, result, handle_.get());
}

absl::StatusOr<int64_t> Database::QueryInteger(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Integer(0) : 0;
}

int64_t Database::last_insert_rowid() const { return sqlite3_last_insert_rowid(handle_.get()); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

absl::StatusOr<Transaction> Transaction::Begin(Database& database, Kind kind) {
  RETURN_IF_ERROR(database.Execute(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite may have rolled back by itself, after a full disk for one.
  if (database_ == nullptr || !database_->in_transaction()) return;
  database_->Execute("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_->Execute("COMMIT"));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace moetune::sqlite
