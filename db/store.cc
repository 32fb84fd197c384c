#include "db/store.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "absl/strings/str_format.h"
#include "db/memory_store.h"
#include "db/sqlite_store.h"
#include "kernels/names.h"

namespace moetune {
namespace {

struct StoreKind {
  std::string_view prefix;
  absl::StatusOr<std::unique_ptr<Store>> (*open)(std::string_view rest, OpenMode mode);
};

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(std::string_view path, OpenMode mode) {
  return OpenSqliteStore(std::string(path), mode);
}

absl::StatusOr<std::unique_ptr<Store>> OpenMemory(std::string_view rest, OpenMode mode) {
  if (rest.empty()) return NewMemoryStore(mode);
  return absl::InvalidArgumentError(
      absl::StrFormat("store 'memory:%s': nothing may follow 'memory:'", rest));
}

// Adding a backend is its file and one entry here.
constexpr StoreKind kStores[] = {
    {"sqlite:", OpenSqlite},
    {"memory:", OpenMemory},
};

// A word and a colon in front, as of a store: "postgres:..." is a typing error, not a file's name.
bool LooksLikeStore(std::string_view location) {
  const size_t colon = location.find(':');
  return colon != std::string_view::npos && colon > 0 &&
         std::ranges::all_of(location.substr(0, colon),
                             [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace

bool Passes(const ScanFilter& filter, const Record& record) {
  if ((filter.kinds & (1u << record.row.index())) == 0) return false;
  if (!filter.shape.has_value()) return true;
  const auto of_shape = [&](const auto& row) { return row.problem.shape == *filter.shape; };
  if (const auto* winner = std::get_if<Winner>(&record.row)) return of_shape(*winner);
  if (const auto* measurement = std::get_if<Measurement>(&record.row)) {
    return of_shape(*measurement);
  }
  return false;
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view location, OpenMode mode) {
  std::vector<std::string_view> known;
  for (const StoreKind& kind : kStores) {
    if (location.starts_with(kind.prefix)) {
      return kind.open(location.substr(kind.prefix.size()), mode);
    }
    known.push_back(kind.prefix);
  }
  if (LooksLikeStore(location)) {
    return UnknownName("store", location.substr(0, location.find(':') + 1), known);
  }
  return OpenSqlite(location, mode);
}

}  // namespace moetune
