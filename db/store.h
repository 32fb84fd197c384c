// Store: an append-only log of records. Whoever wants a view of it (Snapshot) folds it.
#ifndef MOETUNE_DB_STORE_H_
#define MOETUNE_DB_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "db/record.h"

namespace moetune {

struct ScanResult {
  std::string database_id;      // UUID of the log; with last_sequence it names a state of it
  int64_t last_sequence = 0;    // of the newest row in the log
  std::vector<Record> records;  // those asked for with sequence > since, ascending
};

// Kinds of rows, as a set. Bit i is the alternative i of Record::row.
enum RecordKind : uint32_t { kMeasurements = 1 << 0, kWinners = 1 << 1, kSweeps = 1 << 2 };
using RecordKinds = uint32_t;
inline constexpr RecordKinds kAllKinds = kMeasurements | kWinners | kSweeps;

// What a scan gives: records of these kinds and, where a shape is named, of its problems alone.
// Sweeps have no problem: a shape leaves them out.
struct ScanFilter {
  RecordKinds kinds = kAllKinds;
  std::optional<Shape> shape;
};
bool Passes(const ScanFilter& filter, const Record& record);

// Thread-safe. All of a batch becomes visible at once, or none of it.
class Store {
 public:
  virtual ~Store() = default;

  // Appends in order and durably. A record whose UUID the log holds already is left out (so an
  // import may be repeated). Rows from a failed Append are not in the log. Returns how many were
  // added. With `winners_until`, a sequence number, for a batch that was chosen by the winners up
  // to there: Aborted, and nothing is appended, where the log has a later one.
  virtual absl::StatusOr<int> Append(std::span<const Record> batch,
                                     std::optional<int64_t> winners_until) = 0;
  absl::StatusOr<int> Append(std::span<const Record> batch) { return Append(batch, std::nullopt); }

  // The records after `since` (0: all) that pass the filter. Cheap when nothing was appended. A
  // look-up needs winners only, and a log has some hundred measurements to each.
  virtual absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) = 0;
  absl::StatusOr<ScanResult> Scan(int64_t since, RecordKinds kinds = kAllKinds) {
    return Scan(since, ScanFilter{.kinds = kinds});
  }

  // Flushes and releases; every later call is FailedPrecondition. Close twice is OK.
  virtual absl::Status Close() = 0;
};

enum class OpenMode {
  kReadOnly,   // must exist
  kReadWrite,  // created when missing
};

// "PATH" or "sqlite:PATH", or "memory:" for a log that dies with the process.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view location, OpenMode mode);

}  // namespace moetune

#endif  // MOETUNE_DB_STORE_H_
