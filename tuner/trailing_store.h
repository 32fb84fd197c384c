// TrailingStore: appends to a store beside what its caller goes on to do. A commit waits for the
// disk, a few milliseconds that a GPU need not stand idle for.
#ifndef MOETUNE_TUNER_TRAILING_STORE_H_
#define MOETUNE_TUNER_TRAILING_STORE_H_

#include <future>
#include <vector>

#include "absl/status/status.h"
#include "db/store.h"

namespace moetune {

// Not thread-safe; the store, which is borrowed, is. In the end all is appended. Errors are those
// of the store, as Unavailable: a full disk must not pass for a problem that is too large.
class TrailingStore {
 public:
  explicit TrailingStore(Store& store) : store_(store) {}

  // One batch at a time is under way: waits for the one before, and returns its error, if it had
  // one; then nothing more is appended.
  absl::Status Append(std::vector<Record> batch);

  // Waits for the last batch, and returns its error.
  absl::Status Finish();

 private:
  Store& store_;
  std::future<absl::Status> last_;  // its destructor waits, and drops an error
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_TRAILING_STORE_H_
