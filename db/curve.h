// Curve: the winners of one shape on one device, along the axis of routed rows. A snapshot is a
// table of curves; a look-up finds the curve by hash and its place on the axis by bisection.
#ifndef MOETUNE_DB_CURVE_H_
#define MOETUNE_DB_CURVE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "db/record.h"
#include "db/snapshot.h"
#include "kernels/family.h"

namespace moetune {

// A standing winner that this program can run.
struct Entry {
  int64_t tokens;
  Routing routing;
  const Family* family;
  std::shared_ptr<const Winner> winner;
};

// What was found on an axis. False: nothing.
struct Match {
  const Entry* entry = nullptr;
  double distance = 0;  // log2 units

  explicit operator bool() const { return entry != nullptr; }
};

class Axis {
 public:
  Axis() = default;
  explicit Axis(std::vector<Entry> entries);

  // Ascending by rows.
  std::span<const Entry> entries() const { return entries_; }

  // The same rows and tokens.
  Match Exact(const Problem& asked) const;

  // Of the two row counts on either side, the nearer, else the other, whose config is legal for
  // `asked` on `device`, either with at most four times as many or as few rows; beyond an end, that
  // end up to twice or half its rows. The same rows are nearest of all, also when they come from
  // another number of tokens (experts that are one rank's share).
  Match Bucket(const Problem& asked, const DeviceSpec& device) const;

 private:
  const Entry& At(size_t i, const Problem& asked) const;

  std::vector<Entry> entries_;
  std::vector<int64_t> rows_;  // distinct, ascending
  std::vector<size_t> first_;  // of the entries with rows_[i]; one more at the end
};

struct Curve {
  std::vector<WinnerRow> history;                       // ascending by sequence
  std::vector<std::shared_ptr<const Winner>> standing;  // of history, in no order
  Axis measured;                                        // of standing, what can run
  Axis estimated;
};

// Derives the rest of a curve from its history.
void Rebuild(Curve& curve);

}  // namespace moetune

#endif  // MOETUNE_DB_CURVE_H_
