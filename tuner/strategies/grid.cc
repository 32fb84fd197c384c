#include "tuner/strategies/grid.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace moetune {
namespace {

// Integers by their logarithm, shifted so that the least counts as one where it is below; anything
// else in equal steps.
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
  std::set<std::string_view> names;
  for (const Candidate& candidate : candidates) {
    for (const auto& [name, values] : candidate.config.entries()) names.insert(name);
  }
  for (std::string_view name : names) AddParameter(candidates, name);
  AddFamilies(candidates);
  point_size_ = dimensions_.size();
  if (ordered && size_ > 1) AddOrder();
}

void Grid::AddParameter(std::span<const Candidate> candidates, std::string_view name) {
  std::vector<const Config::Values*> values;
  for (const Candidate& candidate : candidates) values.push_back(candidate.config.Find(name));
  const std::set<const Config::Values*, ByContent> distinct(values.begin(), values.end());
  if (distinct.size() < 2) return;
  const std::vector<const Config::Values*> ascending(distinct.begin(), distinct.end());
  Dimension dimension;
  dimension.positions = Positions(ascending);
  for (const Config::Values* value : values) {
    const auto place = std::ranges::lower_bound(ascending, value, ByContent());
    dimension.coordinates.push_back(static_cast<Coordinate>(place - ascending.begin()));
  }
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
