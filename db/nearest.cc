#include "db/nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moetune {
namespace {

// Larger over smaller: the same value for (a, b) and (b, a).
double LogRatio(double a, double b) { return std::log2(std::max(a, b) / std::min(a, b)); }

double Square(double x) { return x * x; }

double RowsPerExpert(const Problem& problem) {
  return static_cast<double>(problem.rows) / static_cast<double>(problem.shape.experts);
}

}  // namespace

double LogDistance(int64_t a, int64_t b) {
  return LogRatio(static_cast<double>(a), static_cast<double>(b));
}

double ShapeDistance(const Shape& a, const Shape& b) {
  if (a.op != b.op || a.dtype != b.dtype || a.output != b.output || a.fusions != b.fusions) {
    return std::numeric_limits<double>::infinity();
  }
  return std::sqrt(Square(LogDistance(a.n, b.n)) + Square(LogDistance(a.k, b.k)) +
                   Square(LogDistance(a.experts, b.experts)));
}

double ProblemDistance(const Problem& a, const Problem& b) {
  return std::sqrt(Square(ShapeDistance(a.shape, b.shape)) +
                   Square(LogRatio(RowsPerExpert(a), RowsPerExpert(b))));
}

size_t NearestLog(std::span<const int64_t> sorted, int64_t value) {
  const auto above = std::ranges::lower_bound(sorted, value);
  if (above == sorted.end()) return sorted.size() - 1;
  const auto index = static_cast<size_t>(above - sorted.begin());
  if (index == 0) return 0;
  return LogDistance(sorted[index - 1], value) < LogDistance(*above, value) ? index - 1 : index;
}

}  // namespace moetune
