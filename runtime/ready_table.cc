#include "runtime/ready_table.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "db/nearest.h"
#include "kernels/cost_model.h"
#include "kernels/space.h"

namespace moetune {
namespace {

// What a loaded kernel is compiled for: a shape without its sizes.
Shape KindOf(const Shape& shape) {
  return {.op = shape.op, .dtype = shape.dtype, .output = shape.output, .fusions = shape.fusions};
}

// Within a factor of two: there a winner seldom changes.
bool Near(int64_t a, int64_t b) { return a / 2 <= b && b / 2 <= a; }

}  // namespace

ReadyTable::Match ReadyTable::Find(const Shape& shape, int64_t rows) const {
  const auto found = axes_.find(shape);
  if (found == axes_.end()) return {.point = nullptr, .wanting = true};
  const Axis& axis = *found->second;
  const size_t nearest = NearestLog(axis.rows, rows);
  return {.point = &axis.points[nearest],
          .exact = axis.rows[nearest] == rows,
          .wanting = !axis.prepared && !Near(axis.rows[nearest], rows)};
}

const LoadedKernel* ReadyTable::BestLoaded(const Problem& problem, const DeviceSpec& device) const {
  const auto found = loaded_.find(KindOf(problem.shape));
  if (found == loaded_.end()) return nullptr;
  const LoadedKernel* best = nullptr;
  double best_us = std::numeric_limits<double>::infinity();
  for (const LoadedKernel* kernel : found->second) {
    const Candidate& candidate = kernel->candidate();
    if (!IsLegal(*candidate.family, problem, candidate.config, device)) continue;
    const double us = EstimateUs(problem, candidate, device, &kernel->facts());
    if (best == nullptr || us < best_us) {
      best = kernel;
      best_us = us;
    }
  }
  return best;
}

std::unique_ptr<const ReadyTable> ReadyTable::With(const Shape& shape, int64_t rows,
                                                   ReadyPoint point, Origin origin) const {
  const auto found = axes_.find(shape);
  auto axis =
      found != axes_.end() ? std::make_shared<Axis>(*found->second) : std::make_shared<Axis>();
  axis->prepared = axis->prepared || origin == Origin::kPrepared;
  const LoadedKernel* kernel = point.kernel;
  const auto at = std::ranges::lower_bound(axis->rows, rows);
  const auto index = at - axis->rows.begin();
  if (at != axis->rows.end() && *at == rows) {
    axis->points[static_cast<size_t>(index)] = std::move(point);
  } else {
    axis->rows.insert(at, rows);
    axis->points.insert(axis->points.begin() + index, std::move(point));
  }
  if (found != axes_.end() && *axis == *found->second) return nullptr;

  auto table = std::make_unique<ReadyTable>(*this);
  if (found != axes_.end()) table->point_count_ -= std::ssize(found->second->rows);
  table->point_count_ += std::ssize(axis->rows);
  table->axes_[shape] = std::move(axis);
  std::vector<const LoadedKernel*>& loaded = table->loaded_[KindOf(shape)];
  if (std::ranges::find(loaded, kernel) == loaded.end()) loaded.push_back(kernel);
  return table;
}

}  // namespace moetune
