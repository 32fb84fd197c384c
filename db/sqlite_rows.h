// Records as rows of the schema in db/schema: one table per kind, named fields as columns, and the
// tables that they refer to (device, environment, problem, config) with one row per distinct value.
#ifndef MOETUNE_DB_SQLITE_ROWS_H_
#define MOETUNE_DB_SQLITE_ROWS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "db/sqlite.h"
#include "db/store.h"

namespace moetune {

using ColumnValue = std::variant<int64_t, double, std::string>;
using Columns = std::vector<std::pair<std::string_view, ColumnValue>>;

// Inserts records, inside the caller's transaction. Lives for one batch.
class RowWriter {
 public:
  explicit RowWriter(sqlite::Database& database) : database_(database) {}

  // False when the log holds the record's UUID already; nothing is changed then.
  absl::StatusOr<bool> Insert(const Record& record);

 private:
  struct FieldWriter;

  template <typename Row>
  absl::Status InsertRow(std::string_view table, int64_t sequence, const Row& row);
  // The id of the row of `table` with exactly these values, which is added when missing.
  absl::StatusOr<int64_t> Intern(std::string_view table, const Columns& columns);
  absl::StatusOr<sqlite::Statement*> Bound(const std::string& sql, const Columns& columns);

  sqlite::Database& database_;
  std::map<std::string, sqlite::Statement> statements_;  // by their SQL
};

// Reads the records after `since` that pass the filter, in ascending order, inside the caller's
// transaction.
class RowReader {
 public:
  explicit RowReader(sqlite::Database& database) : database_(database) {}

  absl::StatusOr<std::vector<Record>> Read(int64_t since, const ScanFilter& filter);

 private:
  struct FieldReader;
  struct Cursor;

  template <typename Row>
  absl::Status AddCursor(std::string_view table, int64_t since, const std::optional<Shape>& shape,
                         std::vector<Cursor>& cursors);
  template <typename Row>
  absl::Status ReadRow(const sqlite::Statement& statement, Record& record);
  // The value of an id in the table of that name, read once: few of them stand behind many rows.
  template <typename Value>
  absl::Status Load(std::string_view table, int64_t id, absl::flat_hash_map<int64_t, Value>& known,
                    Value& value);
  // The same of values that stand as text, by a query of their own.
  template <typename Value>
  struct Texts {
    std::string_view sql;
    absl::StatusOr<Value> (*parse)(std::string_view text);
    std::optional<sqlite::Statement> query;
    absl::flat_hash_map<int64_t, Value> known;
  };
  template <typename Value>
  absl::Status LoadText(int64_t id, Texts<Value>& texts, Value& value);

  sqlite::Database& database_;
  absl::flat_hash_map<int64_t, DeviceSpec> devices_;
  absl::flat_hash_map<int64_t, Environment> environments_;
  Texts<Problem> problems_{"SELECT key FROM problem WHERE id = ?1", ParseProblem, {}, {}};
  Texts<Config> configs_{"SELECT text FROM config WHERE id = ?1", ParseConfig, {}, {}};
};

}  // namespace moetune

#endif  // MOETUNE_DB_SQLITE_ROWS_H_
