#include "runtime/snapshot_source.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "db/mutex.h"
#include "db/store.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

class SnapshotSource : public ConfigSource {
 public:
  explicit SnapshotSource(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  absl::StatusOr<Choice> Lookup(const Problem& problem, const DeviceSpec& device) override {
    const absl::StatusOr<std::shared_ptr<const Snapshot>> newest = Refresh();
    if (newest.ok()) return (*newest)->Lookup(problem, device);
    // A file that cannot be read any more takes nothing back of what was read.
    MutexLock lock(mutex_);
    return snapshot_->Lookup(problem, device);
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> Refresh() {
    MutexLock lock(mutex_);
    const int64_t since = snapshot_ ? snapshot_->last_sequence() : 0;
    ASSIGN_OR_RETURN(ScanResult scan, store_->Scan(since, kWinners));
    snapshot_ = Snapshot::Fold(std::move(snapshot_), std::move(scan));
    return snapshot_;
  }

 private:
  const std::unique_ptr<Store> store_;
  Mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<ConfigSource>> OpenSnapshotSource(std::string_view location) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(location, OpenMode::kReadOnly));
  auto source = std::make_unique<SnapshotSource>(std::move(store));
  RETURN_IF_ERROR(source->Refresh().status());  // a file that cannot be read is an error here
  return source;
}

}  // namespace moetune
