#include "tuner/service/snapshot_holder.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {

SnapshotHolder::SnapshotHolder(std::unique_ptr<Store> store,
                               std::shared_ptr<const Snapshot> current,
                               absl::Duration poll_interval, Log log)
    : store_(std::move(store)),
      poll_interval_(poll_interval),
      log_(std::move(log)),
      current_(std::move(current)) {
  poller_ = std::jthread([this](const std::stop_token& stop) { Poll(stop); });
}

SnapshotHolder::~SnapshotHolder() {
  poller_ = std::jthread();  // asks the thread to stop and joins it
  if (absl::Status closed = store_->Close(); !closed.ok()) log_(closed.ToString());
}

absl::StatusOr<std::unique_ptr<SnapshotHolder>> SnapshotHolder::Open(std::unique_ptr<Store> store,
                                                                     absl::Duration poll_interval,
                                                                     Log log) {
  ASSIGN_OR_RETURN(ScanResult scan, store->Scan(0, kWinners));
  return std::unique_ptr<SnapshotHolder>(new SnapshotHolder(
      std::move(store), Snapshot::Fold(nullptr, std::move(scan)), poll_interval, std::move(log)));
}

std::shared_ptr<const Snapshot> SnapshotHolder::Current() const {
  MutexLock lock(mutex_);
  return current_;
}

absl::Status SnapshotHolder::Refresh() {
  std::shared_ptr<const Snapshot> base = Current();
  ASSIGN_OR_RETURN(ScanResult scan, store_->Scan(base->last_sequence(), kWinners));
  std::shared_ptr<const Snapshot> next = Snapshot::Fold(std::move(base), std::move(scan));
  MutexLock lock(mutex_);
  current_.swap(next);  // the old one is released with `next`, after the lock
  return absl::OkStatus();
}

void SnapshotHolder::Poll(const std::stop_token& stop) {
  Mutex wait_mutex;
  Condition wake;
  bool failing = false;
  while (true) {
    {
      MutexLock lock(wait_mutex);
      wake.wait_for(wait_mutex, stop, absl::ToChronoMicroseconds(poll_interval_),
                    [] { return false; });
    }
    if (stop.stop_requested()) return;
    const absl::Status status = Refresh();
    if (!status.ok() && !failing) {
      log_(absl::StrFormat("the store cannot be read, answering from what was read before: %s",
                           std::string(status.message())));
    } else if (status.ok() && failing) {
      log_("the store can be read again");
    }
    failing = !status.ok();
  }
}

}  // namespace moetune
