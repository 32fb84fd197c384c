// DefaultWinners: the cost model's first choices, remembered. Finding one ranks every config of
// every family, which takes milliseconds.
#ifndef MOETUNE_DB_DEFAULT_WINNERS_H_
#define MOETUNE_DB_DEFAULT_WINNERS_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "db/mutex.h"
#include "db/record.h"

namespace moetune {

// Thread-safe.
class DefaultWinners {
 public:
  // With zero times, and `problem` and `device` as asked. NotFound where no family can run the
  // problem on the device at all.
  absl::StatusOr<std::shared_ptr<const Winner>> Of(const Problem& problem,
                                                   const DeviceSpec& device);

 private:
  using Key = std::pair<Problem, std::string>;  // the string: the device's name

  Mutex mutex_;
  absl::flat_hash_map<Key, std::shared_ptr<const Winner>> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moetune

#endif  // MOETUNE_DB_DEFAULT_WINNERS_H_
