// SnapshotHolder: the newest Snapshot of a store, for many readers. A thread of its own asks the
// store for new rows; readers never wait for it.
#ifndef MOETUNE_TUNER_SERVICE_SNAPSHOT_HOLDER_H_
#define MOETUNE_TUNER_SERVICE_SNAPSHOT_HOLDER_H_

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "db/mutex.h"
#include "db/snapshot.h"
#include "db/store.h"

namespace moetune {

// Takes one line for the operator, without a newline. Called from the polling thread.
using Log = std::function<void(std::string_view)>;

class SnapshotHolder {
 public:
  // Reads the store once before it returns; an error then is the store's. Later on a store that
  // fails leaves the last snapshot standing: `log` hears of it once, and once more when it
  // recovers.
  static absl::StatusOr<std::unique_ptr<SnapshotHolder>> Open(std::unique_ptr<Store> store,
                                                              absl::Duration poll_interval,
                                                              Log log);
  ~SnapshotHolder();  // ends the thread, closes the store
  SnapshotHolder(const SnapshotHolder&) = delete;
  SnapshotHolder& operator=(const SnapshotHolder&) = delete;

  // Never null. What it returns stays as it is, whatever happens here. Thread-safe.
  std::shared_ptr<const Snapshot> Current() const;

 private:
  SnapshotHolder(std::unique_ptr<Store> store, std::shared_ptr<const Snapshot> current,
                 absl::Duration poll_interval, Log log);

  absl::Status Refresh();
  void Poll(const std::stop_token& stop);

  const std::unique_ptr<Store> store_;
  const absl::Duration poll_interval_;
  const Log log_;

  mutable Mutex mutex_;
  std::shared_ptr<const Snapshot> current_ ABSL_GUARDED_BY(mutex_);

  std::jthread poller_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_SERVICE_SNAPSHOT_HOLDER_H_
