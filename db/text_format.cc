#include "db/text_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "db/fields.h"
#include "db/numbers.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

constexpr std::string_view kTitle = "moetune records ";
constexpr int kVersion = 2;  // VersionOfField says what came with which

// A string in quotes, on one line: only printable ASCII and bytes of UTF-8 stand for themselves.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&quoted, "\\x%02x", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

// Devices and environments are written once, before the first record that refers to them by number.
class Writer {
 public:
  void Write(const Record& record) {
    std::string block = absl::StrFormat("\n%s %s\n", KindName(record), record.uuid);
    std::visit([&](const auto& row) { block += Fields(row); }, record.row);
    text_ += block;
  }

  std::string Finish(size_t count) && {
    return absl::StrFormat("%s%d\n%s\nend %d\n", kTitle, kVersion, text_, count);
  }

 private:
  template <typename Row>
  std::string Fields(const Row& row) {
    std::string block;
    VisitFields(row, [&](std::string_view name, const auto& value) {
      absl::StrAppendFormat(&block, "  %s %s\n", name, Text(value));
    });
    return block;
  }

  std::string Text(const std::string& value) { return Quoted(value); }
  std::string Text(double value) { return ExactText(value); }
  std::string Text(const std::vector<double>& values) { return Quoted(NumbersText(values)); }
  std::string Text(bool value) { return value ? "true" : "false"; }
  std::string Text(const Problem& problem) { return ProblemKey(problem); }
  std::string Text(const Config& config) { return Quoted(config.Text()); }
  std::string Text(const DeviceSpec& device) { return Refer("device", device, devices_); }
  std::string Text(const Environment& environment) {
    return Refer("environment", environment, environments_);
  }
  template <typename Value>
  std::string Text(const Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      return std::string(EnumName(value));
    } else {
      return absl::StrFormat("%d", value);
    }
  }

  template <typename Value>
  std::string Refer(std::string_view kind, const Value& value, std::vector<Value>& known) {
    const auto at = std::ranges::find(known, value);
    const auto number = at - known.begin() + 1;
    if (at == known.end()) {
      text_ += absl::StrFormat("\n%s %d\n%s", kind, number, Fields(value));
      known.push_back(value);
    }
    return absl::StrFormat("%d", number);
  }

  std::string text_;
  std::vector<DeviceSpec> devices_;
  std::vector<Environment> environments_;
};

absl::StatusOr<std::string> Unquote(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      "a string in double quotes is expected, with \\\" \\\\ \\n \\xHH as its only escapes");
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return bad;
  text = text.substr(1, text.size() - 2);
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return bad;
    if (text[i] != '\\') {
      value += text[i];
      continue;
    }
    const std::string_view escape = text.substr(i + 1);
    unsigned byte = 0;
    if (escape.starts_with('"') || escape.starts_with('\\')) {
      value += escape[0];
      i += 1;
    } else if (escape.starts_with('n')) {
      value += '\n';
      i += 1;
    } else if (escape.size() >= 3 && escape[0] == 'x' &&
               std::from_chars(escape.data() + 1, escape.data() + 3, byte, 16).ptr ==
                   escape.data() + 3) {
      value += static_cast<char>(byte);
      i += 3;
    } else {
      return bad;
    }
  }
  return value;
}

template <typename Number>
absl::Status ReadNumber(std::string_view text, std::string_view expected, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  bool valid = error == std::errc() && stop == end;
  if constexpr (std::is_floating_point_v<Number>) valid = valid && std::isfinite(value);
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s is expected", expected));
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  absl::StatusOr<std::vector<Record>> Read() {
    RETURN_IF_ERROR(AtLine(ReadAll()));
    return std::move(records_);
  }

 private:
  // Moves to the next line that is not empty or a comment.
  absl::Status NextLine() {
    while (true) {
      ++line_number_;
      const size_t end = rest_.find('\n');
      if (end == std::string_view::npos) {
        return absl::InvalidArgumentError(
            "the text is cut short: it must end in a line 'end COUNT' with its newline");
      }
      line_ = rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
      if (line_.ends_with('\r')) line_.remove_suffix(1);  // as editors on Windows end lines
      if (!line_.empty() && !line_.starts_with('#')) return absl::OkStatus();
    }
  }

  absl::Status ReadAll() {
    RETURN_IF_ERROR(NextLine());
    while (version_ > 0 && line_ != absl::StrFormat("%s%d", kTitle, version_)) --version_;
    if (version_ == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the first line must be '%sN' with N from 1 to %d, not '%s'", kTitle,
                          kVersion, line_.substr(0, 80)));
    }
    while (true) {
      RETURN_IF_ERROR(NextLine());
      const size_t space = line_.find(' ');
      const std::string_view kind = line_.substr(0, space);
      const std::string_view name =
          space == std::string_view::npos ? std::string_view() : line_.substr(space + 1);
      if (kind == "end") return ReadEnd(name);
      RETURN_IF_ERROR(ReadBlock(kind, name));
    }
  }

  absl::Status ReadEnd(std::string_view text) {
    size_t count = 0;
    RETURN_IF_ERROR(ReadNumber(text, "end: the number of records", count));
    if (count != records_.size()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the file says that it holds %d records, and holds %d", count, records_.size()));
    }
    if (!rest_.empty()) return absl::InvalidArgumentError("something follows the line 'end COUNT'");
    return absl::OkStatus();
  }

  absl::Status ReadBlock(std::string_view kind, std::string_view name) {
    if (kind == "device") return ReadDefinition(kind, name, devices_);
    if (kind == "environment") return ReadDefinition(kind, name, environments_);
    if (kind == "measurement") return ReadRecord<Measurement>(name);
    if (kind == "winner") return ReadRecord<Winner>(name);
    if (kind == "sweep") return ReadRecord<Sweep>(name);
    return UnknownName("block", kind,
                       {"device", "environment", "measurement", "winner", "sweep", "end"});
  }

  template <typename Value>
  absl::Status ReadDefinition(std::string_view kind, std::string_view text,
                              std::vector<Value>& known) {
    size_t number = 0;
    if (!ReadNumber(text, "", number).ok() || number != known.size() + 1) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s '%s': they are numbered in order, and this is number %d", kind, text,
                          known.size() + 1));
    }
    Value value;
    RETURN_IF_ERROR(ReadFields(value));
    known.push_back(std::move(value));
    return absl::OkStatus();
  }

  template <typename Row>
  absl::Status ReadRecord(std::string_view uuid) {
    Record record{.uuid = std::string(uuid)};
    const int line = line_number_;
    if (!uuids_.insert(record.uuid).second) {
      return absl::InvalidArgumentError(absl::StrFormat("record %s stands twice", uuid));
    }
    RETURN_IF_ERROR(ReadFields(record.row.emplace<Row>()));
    if (absl::Status valid = ValidateRecord(record); !valid.ok()) {
      line_number_ = line;  // it is about the record as a whole
      return valid;
    }
    records_.push_back(std::move(record));
    return absl::OkStatus();
  }

  template <typename Row>
  absl::Status ReadFields(Row& row) {
    absl::Status status;
    VisitFields(row, [&](std::string_view name, auto& value) {
      if (status.ok()) status = ReadField(name, value);
    });
    return status;
  }

  template <typename Value>
  absl::Status ReadField(std::string_view name, Value& value) {
    if (VersionOfField(name) > version_) return absl::OkStatus();
    RETURN_IF_ERROR(NextLine());
    std::string_view text = line_;
    const std::string start = absl::StrFormat("  %s ", name);
    if (!text.starts_with(start)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("field '%s' is expected here, not '%s'", name, text.substr(0, 80)));
    }
    text.remove_prefix(start.size());
    if (absl::Status read = Parse(text, value); !read.ok()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s '%s': %s", name, text.substr(0, 200), read.message()));
    }
    return absl::OkStatus();
  }

  absl::Status Parse(std::string_view text, std::string& value) {
    ASSIGN_OR_RETURN(value, Unquote(text));
    return absl::OkStatus();
  }
  absl::Status Parse(std::string_view text, double& value) {
    return ReadNumber(text, "a finite number", value);
  }
  absl::Status Parse(std::string_view text, std::vector<double>& values) {
    ASSIGN_OR_RETURN(const std::string numbers, Unquote(text));
    ASSIGN_OR_RETURN(values, ParseNumbers(numbers));
    return absl::OkStatus();
  }
  absl::Status Parse(std::string_view text, bool& value) {
    value = text == "true";
    if (value || text == "false") return absl::OkStatus();
    return absl::InvalidArgumentError("true or false is expected");
  }
  absl::Status Parse(std::string_view text, Problem& value) {
    ASSIGN_OR_RETURN(value, ParseProblem(text));
    return absl::OkStatus();
  }
  absl::Status Parse(std::string_view text, Config& value) {
    ASSIGN_OR_RETURN(const std::string config, Unquote(text));
    ASSIGN_OR_RETURN(value, ParseConfig(config));
    return absl::OkStatus();
  }
  absl::Status Parse(std::string_view text, DeviceSpec& value) {
    return ParseReference(text, devices_, value);
  }
  absl::Status Parse(std::string_view text, Environment& value) {
    return ParseReference(text, environments_, value);
  }
  template <typename Value>
  absl::Status Parse(std::string_view text, Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      ASSIGN_OR_RETURN(value, ParseEnum<Value>(text));
      return absl::OkStatus();
    } else {
      using Limits = std::numeric_limits<Value>;
      return ReadNumber(
          text, absl::StrFormat("an integer from %d to %d", Limits::min(), Limits::max()), value);
    }
  }

  template <typename Value>
  absl::Status ParseReference(std::string_view text, const std::vector<Value>& known,
                              Value& value) {
    size_t number = 0;
    RETURN_IF_ERROR(ReadNumber(text, "the number of a block above", number));
    if (number < 1 || number > known.size()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the blocks above have numbers up to %d", known.size()));
    }
    value = known[number - 1];
    return absl::OkStatus();
  }

  absl::Status AtLine(const absl::Status& status) const {
    if (status.ok()) return status;
    return absl::InvalidArgumentError(
        absl::StrFormat("line %d: %s", line_number_, status.message()));
  }

  std::string_view rest_;
  std::string_view line_;
  int line_number_ = 0;
  int version_ = kVersion;
  std::vector<DeviceSpec> devices_;
  std::vector<Environment> environments_;
  std::vector<Record> records_;
  absl::flat_hash_set<std::string> uuids_;
};

}  // namespace

std::string WriteText(std::span<const Record> records) {
  Writer writer;
  for (const Record& record : records) writer.Write(record);
  return std::move(writer).Finish(records.size());
}

absl::StatusOr<std::vector<Record>> ReadText(std::string_view text) { return Reader(text).Read(); }

}  // namespace moetune
