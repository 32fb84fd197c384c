#include "tuner/strategies/grid.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>

#include "absl/container/flat_hash_map.h"

namespace moetune {
namespace {

// Integers by their logarithm, shifted so that the least counts as one where it is below; anything
// else in equal steps, and integers so large and near that a float's logarithm does not tell them
// apart.
std::vector<float> Positions(const std::vector<const Config::Values*>& values) {
  const bool integers = std::ranges::all_of(
      values, [](const Config::Values* value) { return value != nullptr && value->size() == 1; });
  std::vector<float> positions;
  for (size_t i = 0; i < values.size(); ++i) {
    if (integers) {
      const auto least = static_cast<double>(values.front()->front());
      const double shift = least < 1 ? 1 - least : 0;
      positions.push_back(
          static_cast<float>(std::log(static_cast<double>(values[i]->front()) + shift)));
    } else {
      positions.push_back(static_cast<float>(i));
    }
  }
  if (positions.front() == positions.back()) {
    std::iota(positions.begin(), positions.end(), 0.0f);
  }
  const float low = positions.front();
  const float span = positions.back() - low;
  for (float& position : positions) position = (position - low) / span;
  return positions;
}

struct ByContent {
  bool operator()(const Config::Values* a, const Config::Values* b) const {
    if (a == nullptr || b == nullptr) return a == nullptr && b != nullptr;
    return *a < *b;
  }
};

}  // namespace

Grid::Grid(std::span<const Candidate> candidates, bool ordered) : size_(candidates.size()) {
  std::map<std::string_view, std::vector<const Config::Values*>> parameters;
  for (size_t i = 0; i < size_; ++i) {
    for (const auto& [name, values] : candidates[i].config.entries()) {
      std::vector<const Config::Values*>& column = parameters[name];
      column.resize(size_);  // null where a candidate has no such parameter
      column[i] = &values;
    }
  }
  for (const auto& [name, values] : parameters) AddParameter(values);
  AddFamilies(candidates);
  point_size_ = dimensions_.size();
  if (ordered && size_ > 1) AddOrder();
}

void Grid::AddParameter(std::span<const Config::Values* const> values) {
  std::map<const Config::Values*, Coordinate, ByContent> places;
  std::vector<const Coordinate*> place_of;  // per candidate
  for (const Config::Values* value : values) {
    place_of.push_back(&places.try_emplace(value, Coordinate{0}).first->second);
  }
  if (places.size() < 2) return;
  std::vector<const Config::Values*> ascending;
  for (auto& [value, place] : places) {
    place = static_cast<Coordinate>(ascending.size());
    ascending.push_back(value);
  }
  Dimension dimension;
  dimension.positions = Positions(ascending);
  for (const Coordinate* place : place_of) dimension.coordinates.push_back(*place);
  dimensions_.push_back(std::move(dimension));
}

void Grid::AddFamilies(std::span<const Candidate> candidates) {
  // By first appearance: their addresses are not the same in every run.
  absl::flat_hash_map<const Family*, Coordinate> places;
  Dimension dimension;
  for (const Candidate& candidate : candidates) {
    const auto place = static_cast<Coordinate>(places.size());
    dimension.coordinates.push_back(places.try_emplace(candidate.family, place).first->second);
  }
  if (places.size() < 2) return;
  const auto last = static_cast<float>(places.size() - 1);
  for (size_t i = 0; i < places.size(); ++i) {
    dimension.positions.push_back(static_cast<float>(i) / last);
  }
  dimensions_.push_back(std::move(dimension));
}

// In steps that grow: the tenth place and the twentieth differ as the hundredth and the two
// hundredth do. The first percent are not told apart.
void Grid::AddOrder() {
  constexpr size_t kSteps = 64;
  constexpr double kFinest = 100;
  Dimension dimension;
  for (size_t i = 0; i < kSteps; ++i) {
    dimension.positions.push_back(static_cast<float>(i) / (kSteps - 1));
  }
  for (size_t i = 0; i < size_; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(size_);
    const double place = std::log1p(share * kFinest) / std::log1p(kFinest);
    dimension.coordinates.push_back(static_cast<Coordinate>(place * kSteps));
  }
  dimensions_.push_back(std::move(dimension));
}

std::vector<Grid::Coordinate> Grid::Point(size_t candidate) const {
  std::vector<Coordinate> point;
  for (size_t d = 0; d < point_size_; ++d) point.push_back(dimensions_[d].coordinates[candidate]);
  return point;
}

void Grid::CountDifferences(std::span<const Coordinate> point,
                            std::vector<uint16_t>& counts) const {
  counts.assign(size_, 0);
  for (size_t d = 0; d < point_size_; ++d) {
    const std::span<const Coordinate> column = Column(d);
    for (size_t i = 0; i < size_; ++i) counts[i] += column[i] != point[d] ? 1 : 0;
  }
}

}  // namespace moetune
