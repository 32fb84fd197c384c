#include "db/memory_store.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "db/mutex.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

class MemoryStore : public Store {
 public:
  explicit MemoryStore(OpenMode mode) : mode_(mode) {}

  absl::StatusOr<int> Append(std::span<const Record> batch,
                             std::optional<int64_t> winners_until) override {
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(CheckOpen());
    if (mode_ == OpenMode::kReadOnly) {
      return absl::FailedPreconditionError("the log in memory was opened read-only");
    }
    for (const Record& record : batch) RETURN_IF_ERROR(ValidateRecord(record));
    if (winners_until.has_value() && HasWinnerAfter(*winners_until)) {
      return absl::AbortedError("the log in memory has newer winners");
    }
    int added = 0;
    for (const Record& record : batch) {
      if (!uuids_.insert(record.uuid).second) continue;
      records_.push_back(record);
      records_.back().sequence = static_cast<int64_t>(records_.size());
      ++added;
    }
    return added;
  }

  absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) override {
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(CheckOpen());
    const auto size = static_cast<int64_t>(records_.size());
    ScanResult result{.database_id = id_, .last_sequence = size};
    for (int64_t i = std::max<int64_t>(since, 0); i < size; ++i) {
      const Record& record = records_[static_cast<size_t>(i)];
      if (Passes(filter, record)) result.records.push_back(record);
    }
    return result;
  }

  absl::Status Close() override {
    MutexLock lock(mutex_);
    closed_ = true;
    records_.clear();
    uuids_.clear();
    return absl::OkStatus();
  }

 private:
  absl::Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!closed_) return absl::OkStatus();
    return absl::FailedPreconditionError("the log in memory is closed");
  }

  bool HasWinnerAfter(int64_t sequence) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::ranges::any_of(records_, [&](const Record& record) {
      return record.sequence > sequence && std::holds_alternative<Winner>(record.row);
    });
  }

  const OpenMode mode_;
  const std::string id_ = NewUuid();
  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Record> records_ ABSL_GUARDED_BY(mutex_);  // record i has sequence i + 1
  absl::flat_hash_set<std::string> uuids_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore(OpenMode mode) { return std::make_unique<MemoryStore>(mode); }

}  // namespace moetune
