// The door to SQLite: a database handle, its statements and transactions as RAII, and errors as
// Status whose message names the file. Not thread-safe: one handle has one user at a time.
#ifndef MOETUNE_DB_SQLITE_H_
#define MOETUNE_DB_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace moetune::sqlite {

enum class Access {
  kReadOnly,
  kImmutable,  // read-only, and promised not to change while open: no lock, no write-ahead log
  kReadWrite,  // created when missing
};

// A statement with its parameters (numbered from 1) and the current row (columns from 0). Must not
// outlive its Database.
class Statement {
 public:
  void Bind(int parameter, int64_t value);
  void Bind(int parameter, double value);
  void Bind(int parameter, std::string_view text);

  // True: there is a row. False: there are no more, and the statement is ready to run again.
  absl::StatusOr<bool> Step();
  // Runs a statement that gives no rows, to its end.
  absl::Status Run();
  // Makes the statement ready to run again before it reached its end.
  void Reset();

  int64_t Integer(int column) const;
  double Real(int column) const;
  std::string_view Text(int column) const;  // valid until the next call on the statement

 private:
  friend class Database;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(const std::string* path, sqlite3_stmt* statement);

  const std::string* path_;  // of the database, for messages
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
  int bind_result_ = 0;  // the first error of Bind, which Step reports
};

class Database {
 public:
  // Waits up to `busy_timeout_ms` where another process holds a lock.
  static absl::StatusOr<Database> Open(const std::string& path, Access access,
                                       int busy_timeout_ms = 0);

  absl::StatusOr<Statement> Prepare(std::string_view sql);
  absl::Status Execute(const std::string& sql);  // any number of statements, rows ignored
  absl::StatusOr<int64_t> QueryInteger(std::string_view sql);  // of the first row; 0 without one

  int64_t last_insert_rowid() const;
  bool in_transaction() const;
  const std::string& path() const { return *path_; }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const;
  };
  Database(std::string path, sqlite3* handle);

  std::unique_ptr<std::string> path_;  // on the heap: statements point at it, and a Database moves
  std::unique_ptr<sqlite3, Closer> handle_;
};

// Rolls back unless committed.
class Transaction {
 public:
  enum class Kind {
    kRead,   // a consistent view from the first read on
    kWrite,  // takes the write lock at once, so that no later statement fails for it
  };
  static absl::StatusOr<Transaction> Begin(Database& database, Kind kind);
  ~Transaction();
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;

  absl::Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // null once committed or moved from
};

}  // namespace moetune::sqlite

#endif  // MOETUNE_DB_SQLITE_H_
