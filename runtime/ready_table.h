// ReadyTable: which loaded kernel answers a launch. Immutable: a change is a new table, so that
// launches read it without a lock.
#ifndef MOETUNE_RUNTIME_READY_TABLE_H_
#define MOETUNE_RUNTIME_READY_TABLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "db/snapshot.h"
#include "kernels/device_spec.h"
#include "kernels/problem.h"
#include "runtime/kernel.h"

namespace moetune {

// What answers a shape at one row count. The kernel outlives every table that names it.
struct ReadyPoint {
  const LoadedKernel* kernel = nullptr;
  Tier tier = Tier::kDefault;
  bool pinned = false;
  absl::Status rejected;

  bool operator==(const ReadyPoint&) const = default;
};

// Who put a point there. A shape that only launches asked for is completed as they come; the axis
// of a prepared one is the caller's choice.
enum class Origin : uint8_t { kPrepared, kLaunch };

class ReadyTable {
 public:
  struct Match {
    const ReadyPoint* point = nullptr;  // null: the shape is not in the table
    bool exact = false;                 // the point is for these very rows
    bool wanting = false;               // a launch of these rows should ask for a point of its own
  };

  // The point whose row count is nearest to `rows` in log space. Allocates nothing.
  Match Find(const Shape& shape, int64_t rows) const;

  // The kernel that the cost model likes best for `problem` among those of any shape of its op,
  // dtypes and fusions; null where none is or none can take it. Allocates only to refuse one.
  const LoadedKernel* BestLoaded(const Problem& problem, const DeviceSpec& device) const;

  // This table with `point` added, or in the place of the one with the same row count. Null when it
  // says just that already.
  std::unique_ptr<const ReadyTable> With(const Shape& shape, int64_t rows, ReadyPoint point,
                                         Origin origin) const;

  int64_t point_count() const { return point_count_; }

 private:
  // The axis of one shape: points[i] is for rows[i], ascending.
  struct Axis {
    std::vector<int64_t> rows;
    std::vector<ReadyPoint> points;
    bool prepared = false;

    bool operator==(const Axis&) const = default;
  };

  // Tables share the axes that did not change.
  absl::flat_hash_map<Shape, std::shared_ptr<const Axis>> axes_;
  absl::flat_hash_map<Shape, std::vector<const LoadedKernel*>> loaded_;  // by KindOf
  int64_t point_count_ = 0;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_READY_TABLE_H_
