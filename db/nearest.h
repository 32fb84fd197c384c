// Distances between problems, in log2 units, 64-bit: how far a measured row is from what was asked.
#ifndef MOETUNE_DB_NEAREST_H_
#define MOETUNE_DB_NEAREST_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/problem.h"

namespace moetune {

// |log2(a / b)| for positive sizes.
double LogDistance(int64_t a, int64_t b);

// Euclidean over n, k and experts. Infinite where op, dtypes or fusions differ.
double ShapeDistance(const Shape& a, const Shape& b);

// ShapeDistance with rows per expert as one more axis.
double ProblemDistance(const Problem& a, const Problem& b);

// Index of the value in `sorted` (ascending, not empty) nearest to `value` in log space; the larger
// of two equally near, since a tile for more rows loses less than one for fewer.
size_t NearestLog(std::span<const int64_t> sorted, int64_t value);

}  // namespace moetune

#endif  // MOETUNE_DB_NEAREST_H_
