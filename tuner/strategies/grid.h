// Grid: candidates as points in space, so that a search can tell which are alike. All it knows of a
// parameter are the values that occur.
#ifndef MOETUNE_TUNER_STRATEGIES_GRID_H_
#define MOETUNE_TUNER_STRATEGIES_GRID_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/family.h"

namespace moetune {

// A dimension is a parameter that takes more than one value, or the family. A coordinate is the
// place of a value among those of its dimension, ascending; "the family has no such parameter"
// comes first.
class Grid {
 public:
  using Coordinate = uint16_t;

  // With `ordered` the candidates stand in an order that means something, the best first. Then the
  // place in it is the last dimension, in which Point and CountDifferences take no interest.
  explicit Grid(std::span<const Candidate> candidates, bool ordered = false);

  size_t size() const { return size_; }  // candidates
  size_t dimensions() const { return dimensions_.size(); }
  size_t ValueCount(size_t dimension) const { return dimensions_[dimension].positions.size(); }

  // Of every candidate, in their order.
  std::span<const Coordinate> Column(size_t dimension) const {
    return dimensions_[dimension].coordinates;
  }
  std::vector<Coordinate> Point(size_t candidate) const;

  // Where a value stands between the least, 0, and the greatest, 1. Integers stand by their
  // logarithm: tile sizes and counts act by ratios.
  float Position(size_t dimension, Coordinate value) const {
    return dimensions_[dimension].positions[value];
  }

  // For each candidate the number of dimensions in which it differs from `point`.
  void CountDifferences(std::span<const Coordinate> point, std::vector<uint16_t>& counts) const;

 private:
  struct Dimension {
    std::vector<Coordinate> coordinates;  // per candidate
    std::vector<float> positions;         // per value
  };

  void AddParameter(std::span<const Config::Values* const> values);
  void AddFamilies(std::span<const Candidate> candidates);
  void AddOrder();

  size_t size_;
  size_t point_size_ = 0;
  std::vector<Dimension> dimensions_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_STRATEGIES_GRID_H_
