#include "db/sqlite_rows.h"

#include <type_traits>

#include "absl/strings/str_format.h"
#include "db/fields.h"
#include "db/numbers.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// The columns of a Row, for a SELECT from a table named `row`.
struct SelectList {
  std::string sql;

  template <typename Value>
  void operator()(std::string_view name, const Value&) {
    absl::StrAppendFormat(&sql, "%srow.%s", sql.empty() ? "" : ", ", name);
  }
};

template <typename Row>
std::string ColumnsOf() {
  SelectList list;
  Row row;
  VisitFields(row, list);
  return list.sql;
}

Columns ShapeColumns(const Shape& shape) {
  return {{"op", std::string(OpName(shape.op))},
          {"dtype", DtypesText(shape)},
          {"fusions", FusionsText(shape.fusions)},
          {"experts", shape.experts},
          {"top_k", shape.top_k},
          {"n", shape.n},
          {"k", shape.k}};
}

Columns ProblemColumns(const Problem& problem) {
  Columns columns = ShapeColumns(problem.shape);
  columns.emplace_back("key", ProblemKey(problem));
  columns.emplace_back("tokens", problem.tokens);
  columns.emplace_back("rows", problem.rows);
  columns.emplace_back("routing", RoutingText(problem.routing));
  return columns;
}

// "a = ? AND b = ?".
std::string EqualitiesSql(const Columns& columns) {
  std::string equalities;
  for (const auto& [name, value] : columns) {
    absl::StrAppendFormat(&equalities, "%s%s = ?", equalities.empty() ? "" : " AND ", name);
  }
  return equalities;
}

void BindFrom(int parameter, const Columns& columns, sqlite::Statement& statement) {
  for (const auto& [name, value] : columns) {
    std::visit([&](const auto& v) { statement.Bind(parameter, v); }, value);
    ++parameter;
  }
}

std::string InsertSql(std::string_view table, const Columns& columns) {
  std::string names, places;
  for (const auto& [name, value] : columns) {
    absl::StrAppendFormat(&names, "%s%s", names.empty() ? "" : ", ", name);
    places += places.empty() ? "?" : ", ?";
  }
  return absl::StrFormat("INSERT INTO %s (%s) VALUES (%s)", table, names, places);
}

template <typename Integer>
absl::Status Narrow(int64_t stored, Integer& value) {
  if (!std::in_range<Integer>(stored)) {
    return absl::DataLossError(absl::StrFormat("%d is out of range", stored));
  }
  value = static_cast<Integer>(stored);
  return absl::OkStatus();
}

}  // namespace

// Collects the columns of one row; values with a table of their own become ids.
struct RowWriter::FieldWriter {
  RowWriter& writer;
  Columns columns;
  absl::Status status;

  void operator()(std::string_view name, const std::string& value) {
    columns.emplace_back(name, value);
  }
  void operator()(std::string_view name, double value) { columns.emplace_back(name, value); }
  void operator()(std::string_view name, const std::vector<double>& values) {
    columns.emplace_back(name, NumbersText(values));
  }
  void operator()(std::string_view name, const Problem& problem) {
    Refer(name, "problem", ProblemColumns(problem));
  }
  void operator()(std::string_view name, const Config& config) {
    Refer(name, "config", {{"text", config.Text()}});
  }
  template <typename Value>
  void operator()(std::string_view name, const Value& value) {
    if constexpr (std::is_integral_v<Value>) {
      // A seed of 64 bits keeps its bits, not its sign.
      columns.emplace_back(name, static_cast<int64_t>(value));
    } else if constexpr (std::is_enum_v<Value>) {
      columns.emplace_back(name, std::string(EnumName(value)));
    } else {
      FieldWriter fields{writer, {}, {}};
      VisitFields(value, fields);
      Refer(name, name, fields.columns);
    }
  }

  void Refer(std::string_view name, std::string_view table, const Columns& value) {
    if (!status.ok()) return;
    absl::StatusOr<int64_t> id = writer.Intern(table, value);
    if (id.ok()) {
      columns.emplace_back(name, *id);
    } else {
      status = std::move(id).status();
    }
  }
};

absl::StatusOr<bool> RowWriter::Insert(const Record& record) {
  ASSIGN_OR_RETURN(sqlite::Statement * known,
                   Bound("SELECT 1 FROM log WHERE uuid = ?1", {{"uuid", record.uuid}}));
  ASSIGN_OR_RETURN(const bool exists, known->Step());
  known->Reset();
  if (exists) return false;

  const std::string_view table = KindName(record);
  const Columns entry = {{"uuid", record.uuid}, {"kind", std::string(table)}};
  ASSIGN_OR_RETURN(sqlite::Statement * log, Bound(InsertSql("log", entry), entry));
  RETURN_IF_ERROR(log->Run());
  const int64_t sequence = database_.last_insert_rowid();
  RETURN_IF_ERROR(
      std::visit([&](const auto& row) { return InsertRow(table, sequence, row); }, record.row));
  return true;
}

template <typename Row>
absl::Status RowWriter::InsertRow(std::string_view table, int64_t sequence, const Row& row) {
  FieldWriter fields{*this, {{"sequence", sequence}}, {}};
  VisitFields(row, fields);
  RETURN_IF_ERROR(fields.status);
  ASSIGN_OR_RETURN(sqlite::Statement * insert,
                   Bound(InsertSql(table, fields.columns), fields.columns));
  return insert->Run();
}

absl::StatusOr<int64_t> RowWriter::Intern(std::string_view table, const Columns& columns) {
  ASSIGN_OR_RETURN(
      sqlite::Statement * find,
      Bound(absl::StrFormat("SELECT id FROM %s WHERE %s", table, EqualitiesSql(columns)), columns));
  ASSIGN_OR_RETURN(const bool found, find->Step());
  const int64_t id = found ? find->Integer(0) : 0;
  find->Reset();
  if (found) return id;
  ASSIGN_OR_RETURN(sqlite::Statement * insert, Bound(InsertSql(table, columns), columns));
  RETURN_IF_ERROR(insert->Run());
  return database_.last_insert_rowid();
}

absl::StatusOr<sqlite::Statement*> RowWriter::Bound(const std::string& sql,
                                                    const Columns& columns) {
  auto at = statements_.find(sql);
  if (at == statements_.end()) {
    ASSIGN_OR_RETURN(sqlite::Statement statement, database_.Prepare(sql));
    at = statements_.emplace(sql, std::move(statement)).first;
  }
  BindFrom(1, columns, at->second);
  return &at->second;
}

// Fills the fields of one row from a statement's columns, in order.
struct RowReader::FieldReader {
  RowReader* reader;
  const sqlite::Statement& statement;
  int column;
  absl::Status status;

  void operator()(std::string_view, std::string& value) { value = statement.Text(column++); }
  void operator()(std::string_view, double& value) { value = statement.Real(column++); }
  void operator()(std::string_view name, std::vector<double>& values) {
    absl::StatusOr<std::vector<double>> read = ParseNumbers(statement.Text(column++));
    Keep(name, read.status());
    if (read.ok()) values = *std::move(read);
  }
  void operator()(std::string_view, bool& value) { value = statement.Integer(column++) != 0; }
  void operator()(std::string_view, uint64_t& value) {
    value = static_cast<uint64_t>(statement.Integer(column++));
  }
  void operator()(std::string_view name, Problem& value) {
    Keep(name, reader->LoadText(statement.Integer(column++), reader->problems_, value));
  }
  void operator()(std::string_view name, Config& value) {
    Keep(name, reader->LoadText(statement.Integer(column++), reader->configs_, value));
  }
  void operator()(std::string_view name, DeviceSpec& value) {
    Keep(name, reader->Load(name, statement.Integer(column++), reader->devices_, value));
  }
  void operator()(std::string_view name, Environment& value) {
    Keep(name, reader->Load(name, statement.Integer(column++), reader->environments_, value));
  }
  template <typename Value>
  void operator()(std::string_view name, Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      const absl::StatusOr<Value> read = ParseEnum<Value>(statement.Text(column++));
      Keep(name, read.status());
      if (read.ok()) value = *read;
    } else {
      Keep(name, Narrow(statement.Integer(column++), value));
    }
  }

  void Keep(std::string_view name, const absl::Status& result) {
    if (result.ok() || !status.ok()) return;
    status = absl::DataLossError(absl::StrFormat("%s: %s", name, result.message()));
  }
};

struct RowReader::Cursor {
  sqlite::Statement statement;
  absl::Status (RowReader::*read)(const sqlite::Statement&, Record&);
  bool at_row = false;
  size_t rows = 0;  // of a scan of all; else unknown

  int64_t sequence() const { return statement.Integer(0); }
};

absl::StatusOr<std::vector<Record>> RowReader::Read(int64_t since, const ScanFilter& filter) {
  std::vector<Cursor> cursors;
  if (filter.kinds & kMeasurements) {
    RETURN_IF_ERROR(AddCursor<Measurement>("measurement", since, filter.shape, cursors));
  }
  if (filter.kinds & kWinners) {
    RETURN_IF_ERROR(AddCursor<Winner>("winner", since, filter.shape, cursors));
  }
  if ((filter.kinds & kSweeps) && !filter.shape.has_value()) {
    RETURN_IF_ERROR(AddCursor<Sweep>("sweep", since, std::nullopt, cursors));
  }

  std::vector<Record> records;
  for (const Cursor& cursor : cursors) records.reserve(records.capacity() + cursor.rows);
  while (true) {
    Cursor* next = nullptr;
    for (Cursor& cursor : cursors) {
      if (!cursor.at_row) continue;
      if (next == nullptr || cursor.sequence() < next->sequence()) next = &cursor;
    }
    if (next == nullptr) return records;
    Record& record = records.emplace_back();
    record.sequence = next->sequence();
    record.uuid = next->statement.Text(1);
    if (absl::Status read = (this->*next->read)(next->statement, record); !read.ok()) {
      return absl::Status(
          read.code(),
          absl::StrFormat("database '%s', row %d: %s (damaged, or written by a newer moetune)",
                          database_.path(), record.sequence, read.message()));
    }
    ASSIGN_OR_RETURN(next->at_row, next->statement.Step());
  }
}

template <typename Row>
absl::Status RowReader::AddCursor(std::string_view table, int64_t since,
                                  const std::optional<Shape>& shape, std::vector<Cursor>& cursors) {
  const Columns parts = shape.has_value() ? ShapeColumns(*shape) : Columns();
  std::string of_shape;
  if (shape.has_value()) {
    of_shape = absl::StrFormat("AND row.problem IN (SELECT id FROM problem WHERE %s)",
                               EqualitiesSql(parts));
  }
  const std::string sql = absl::StrFormat(
      "SELECT row.sequence, log.uuid, %s FROM %s AS row JOIN log ON log.sequence = row.sequence "
      "WHERE row.sequence > ? %s ORDER BY row.sequence",
      ColumnsOf<Row>(), table, of_shape);
  ASSIGN_OR_RETURN(sqlite::Statement statement, database_.Prepare(sql));
  statement.Bind(1, since);
  BindFrom(2, parts, statement);
  ASSIGN_OR_RETURN(const bool at_row, statement.Step());
  int64_t rows = 0;
  if (since == 0 && !shape.has_value()) {
    ASSIGN_OR_RETURN(rows,
                     database_.QueryInteger(absl::StrFormat("SELECT count(*) FROM %s", table)));
  }
  cursors.push_back(
      {std::move(statement), &RowReader::ReadRow<Row>, at_row, static_cast<size_t>(rows)});
  return absl::OkStatus();
}

template <typename Row>
absl::Status RowReader::ReadRow(const sqlite::Statement& statement, Record& record) {
  FieldReader reader{this, statement, /*column=*/2, {}};
  VisitFields(record.row.emplace<Row>(), reader);
  return reader.status;
}

template <typename Value>
absl::Status RowReader::Load(std::string_view table, int64_t id,
                             absl::flat_hash_map<int64_t, Value>& known, Value& value) {
  if (const auto at = known.find(id); at != known.end()) {
    value = at->second;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   database_.Prepare(absl::StrFormat("SELECT %s FROM %s AS row WHERE row.id = ?1",
                                                     ColumnsOf<Value>(), table)));
  statement.Bind(1, id);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return absl::DataLossError(absl::StrFormat("%s %d is missing", table, id));
  FieldReader reader{this, statement, /*column=*/0, {}};
  VisitFields(value, reader);
  if (reader.status.ok()) known.emplace(id, value);
  return reader.status;
}

template <typename Value>
absl::Status RowReader::LoadText(int64_t id, Texts<Value>& texts, Value& value) {
  if (const auto at = texts.known.find(id); at != texts.known.end()) {
    value = at->second;
    return absl::OkStatus();
  }
  if (!texts.query.has_value()) {
    ASSIGN_OR_RETURN(texts.query, database_.Prepare(texts.sql));
  }
  texts.query->Bind(1, id);
  ASSIGN_OR_RETURN(const bool found, texts.query->Step());
  if (!found) return absl::DataLossError(absl::StrFormat("number %d is missing", id));
  ASSIGN_OR_RETURN(value, texts.parse(texts.query->Text(0)));
  texts.query->Reset();
  texts.known.emplace(id, value);
  return absl::OkStatus();
}

}  // namespace moetune
