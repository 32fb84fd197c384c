// Snapshot: an immutable index of the winners in a log, and the look-up that always has an answer.
#ifndef MOETUNE_DB_SNAPSHOT_H_
#define MOETUNE_DB_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "db/store.h"

namespace moetune {

// How good an answer is, best first. See docs/database.md.
enum class Tier : uint8_t { kExact, kBucket, kNeighbour, kSibling, kEstimated, kDefault };
std::string_view TierName(Tier tier);
absl::StatusOr<Tier> ParseTier(std::string_view text);

// What a look-up returns. `winner` is never null: for tier kDefault it holds the cost model's first
// choice, with zero times and the asked problem. It stays valid after the snapshot is gone.
struct Choice {
  Tier tier = Tier::kDefault;
  double distance = 0;  // 0 exact; else in log2 units over the fields that differ
  std::shared_ptr<const Winner> winner;
};

// A winner with its place in the log.
struct WinnerRow {
  int64_t sequence = 0;
  std::string uuid;
  std::shared_ptr<const Winner> winner;
};

class Snapshot {
 public:
  Snapshot();  // empty: every look-up answers kDefault
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  // `base` (may be null) plus the records of `scan`, a later scan of the same log. Rows are shared
  // with `base`, so that folding in a few is cheap. Of the winners of one problem and device name
  // the one with the highest sequence stands, apart for measured and estimated; the others are
  // history.
  static std::shared_ptr<const Snapshot> Fold(std::shared_ptr<const Snapshot> base,
                                              ScanResult scan);

  // The best answer known for `problem` on `device`: exact, then the bracketing row counts of the
  // same shape, another shape, another device of the same compute capability, an estimate, the cost
  // model. The winner of the routing asked for is taken, else that of the widest mix. Winners whose
  // family or config this program does not know are passed over.
  // NotFound only where no family can run the problem on the device at all.
  absl::StatusOr<Choice> Lookup(const Problem& problem, const DeviceSpec& device) const;

  // The standing winners, ordered by device name, then problem key, measured before estimated.
  std::vector<std::shared_ptr<const Winner>> Winners() const;

  // Every winner row of a problem on every device, newest first.
  std::vector<WinnerRow> History(const Problem& problem) const;

  // The devices with standing winners, ordered by name.
  std::vector<DeviceSpec> Devices() const;

  // "DATABASE_ID:SEQUENCE": the same token means the same answers, unless copies of one database
  // file were written to apart.
  std::string Token() const;
  int64_t last_sequence() const;

 private:
  struct Index;
  std::unique_ptr<const Index> index_;
};

// Reasons why a winner may no longer be the best in `now`: "driver 580.1, measured under 575.2".
// They never lower the tier. Fields that are empty in `now` are not compared.
std::vector<std::string> StaleReasons(const Winner& winner, const Environment& now);

}  // namespace moetune

#endif  // MOETUNE_DB_SNAPSHOT_H_
