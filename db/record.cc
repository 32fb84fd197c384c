#include "db/record.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <concepts>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "db/fields.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// Each table is in the order of its enumeration.
constexpr std::array<std::string_view, 9> kOutcomeNames = {
    "ok",           "compile_error", "spills",  "serialised", "load_error",
    "wrong_result", "fault",         "timeout", "crash"};
constexpr std::array<std::string_view, 4> kEffortNames = {"estimate", "probe", "short", "final"};
constexpr std::array<std::string_view, 2> kSweepStateNames = {"started", "finished"};
constexpr std::array<std::string_view, 3> kKindNames = {"measurement", "winner", "sweep"};

template <typename Enum, size_t count>
absl::StatusOr<Enum> ParseName(std::string_view kind,
                               const std::array<std::string_view, count>& names,
                               std::string_view text) {
  for (size_t i = 0; i < count; ++i) {
    if (names[i] == text) return static_cast<Enum>(i);
  }
  return UnknownName(kind, text, std::vector<std::string_view>(names.begin(), names.end()));
}

// As protobuf takes a string: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool IsUtf8(std::string_view text) {
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // of a form of so many bytes
  while (!text.empty()) {
    const auto first = static_cast<uint8_t>(text.front());
    const auto ones = static_cast<size_t>(std::countl_one(first));
    const size_t bytes = std::max<size_t>(ones, 1);
    if (ones == 1 || ones > 4 || text.size() < bytes) return false;
    uint32_t point = first & (0xffu >> (ones + 1));
    for (size_t i = 1; i < bytes; ++i) {
      const auto next = static_cast<uint8_t>(text[i]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fu);
    }
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < kLeast[bytes] || point > 0x10ffff || surrogate) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

bool HasControlCharacter(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

// The least value of an integer that tells what a device can do; of what it has, such as memory, 0
// may stand for unknown.
int64_t LeastOfDevice(std::string_view field) {
  return field == "l2_bytes" || field == "memory_bytes" ? 0 : 1;
}

// What a field must satisfy to be stored, read back, and sent to who looks it up: FromProto takes
// what passes here. Overloads are for the types that can fail.
struct FieldCheck {
  absl::Status status;

  void operator()(std::string_view name, double value) {
    if (std::isfinite(value) && value >= 0) return;
    Fail(name, absl::StrFormat("is %g; a finite number that is not negative is expected", value));
  }
  void operator()(std::string_view name, const std::vector<double>& values) {
    for (const double value : values) (*this)(name, value);
  }
  void operator()(std::string_view name, const std::string& value) {
    if (value.empty() && (name == "family" || name == "id")) Fail(name, "is empty");
    // As a compiler, a driver or the system gave them, in any bytes; they are never sent.
    if (name == "error" || name == "host") return;
    if (!IsUtf8(value)) Fail(name, "is not valid UTF-8");
    const bool is_name = name == "name" || name == "family" || name == "default_family";
    if (is_name && HasControlCharacter(value)) Fail(name, "has a control character");
  }
  void operator()(std::string_view name, const Problem& problem) {
    if (absl::Status valid = ValidateProblem(problem); !valid.ok()) {
      Fail(name, std::string_view(valid.message().data(), valid.message().size()));
    }
  }
  void operator()(std::string_view name, const DeviceSpec& device) {
    if (device.name.empty()) Fail(name, "has no name");
    if (device.name.size() > kMaxNameBytes) {
      Fail(name, absl::StrFormat("has a name of %d bytes; at most %d are allowed",
                                 device.name.size(), kMaxNameBytes));
    }
    VisitFields(device, *this);
    VisitFields(device, [this](std::string_view field, const auto& value) {
      if constexpr (std::integral<std::decay_t<decltype(value)>>) {
        if (value >= LeastOfDevice(field)) return;
        Fail(field, absl::StrFormat("is %d; at least %d is expected", value, LeastOfDevice(field)));
      }
    });
  }
  void operator()(std::string_view, const Environment& environment) {
    VisitFields(environment, *this);
  }
  void operator()(std::string_view name, const Config& config) {
    if (const auto read = ParseConfig(config.Text()); !read.ok() || *read != config) {
      Fail(name, absl::StrFormat("'%s' cannot be read back", config.Text()));
    }
  }
  template <typename Other>
  void operator()(std::string_view, const Other&) {}

  void Fail(std::string_view name, std::string_view what) {
    if (status.ok()) status = absl::InvalidArgumentError(absl::StrFormat("%s %s", name, what));
  }
};

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  return kOutcomeNames[static_cast<size_t>(outcome)];
}
absl::StatusOr<Outcome> ParseOutcome(std::string_view text) {
  return ParseName<Outcome>("outcome", kOutcomeNames, text);
}

std::string_view EffortName(Effort effort) { return kEffortNames[static_cast<size_t>(effort)]; }
absl::StatusOr<Effort> ParseEffort(std::string_view text) {
  return ParseName<Effort>("effort", kEffortNames, text);
}

std::string_view SweepStateName(SweepState state) {
  return kSweepStateNames[static_cast<size_t>(state)];
}
absl::StatusOr<SweepState> ParseSweepState(std::string_view text) {
  return ParseName<SweepState>("sweep state", kSweepStateNames, text);
}

std::string_view KindName(const Record& record) { return kKindNames[record.row.index()]; }

absl::Status ValidateRecord(const Record& record) {
  FieldCheck check;
  if (!IsUuid(record.uuid)) {
    check.Fail("uuid", absl::StrFormat("'%s' is no UUID in canonical text", record.uuid));
  }
  std::visit([&check](const auto& row) { VisitFields(row, check); }, record.row);
  if (check.status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s %s: %s", KindName(record), record.uuid, check.status.message()));
}

std::string NewUuid() {
  uint32_t word[4];
  while (getentropy(word, sizeof word) !=
         0) {  // fails only where a sandbox forbids it for a moment
  }
  word[1] = (word[1] & 0xffff0fffu) | 0x00004000u;  // version 4
  word[2] = (word[2] & 0x3fffffffu) | 0x80000000u;  // variant of RFC 9562
  return absl::StrFormat("%08x-%04x-%04x-%04x-%04x%08x", word[0], word[1] >> 16, word[1] & 0xffff,
                         word[2] >> 16, word[2] & 0xffff, word[3]);
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

Record NewRecord(std::variant<Measurement, Winner, Sweep> row) {
  return Record{.uuid = NewUuid(), .row = std::move(row)};
}

std::string TimestampText(int64_t us) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(us)).count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                         utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace moetune
