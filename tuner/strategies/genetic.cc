// Genetic search: recombines the best configs seen. The plain baseline of the field.
#include <algorithm>
#include <limits>
#include <utility>

#include "tuner/random.h"
#include "tuner/search_strategy.h"
#include "tuner/strategies/grid.h"
#include "tuner/strategies/untested.h"

namespace moetune {
namespace {

constexpr size_t kPopulation = 20;

class Genetic : public SearchStrategy {
 public:
  Genetic(std::span<const Candidate> candidates, uint64_t seed)
      : grid_(candidates), untested_(candidates.size()), random_{seed} {}

  std::vector<size_t> Suggest(size_t count) override {
    std::vector<size_t> suggested;
    while (suggested.size() < count && untested_.left() > 0) {
      suggested.push_back(trials_ < kPopulation || population_.empty() ? untested_.Draw(random_)
                                                                       : Nearest(Child()));
      untested_.Remove(suggested.back());
      ++trials_;
    }
    return suggested;
  }

  // The fastest seen are the population: a child takes the place of the slowest, if it is faster.
  void Observe(size_t candidate, std::optional<double> time_us) override {
    untested_.Remove(candidate);
    std::erase_if(population_, [&](const auto& member) { return member.second == candidate; });
    if (!time_us) return;
    const std::pair member(*time_us, candidate);
    population_.insert(std::ranges::upper_bound(population_, member), member);
    if (population_.size() > kPopulation) population_.pop_back();
  }

 private:
  // The fastest is drawn twice as often as the middle one, the slowest hardly.
  size_t Parent() {
    const size_t place =
        std::min(random_.Below(population_.size()), random_.Below(population_.size()));
    return population_[place].second;
  }

  // Each coordinate from either parent; one on average is drawn anew.
  std::vector<Grid::Coordinate> Child() {
    std::vector<Grid::Coordinate> child = grid_.Point(Parent());
    const std::vector<Grid::Coordinate> other = grid_.Point(Parent());
    for (size_t d = 0; d < child.size(); ++d) {
      if (random_.Below(2) == 0) child[d] = other[d];
      if (random_.Below(child.size()) == 0) {
        child[d] = static_cast<Grid::Coordinate>(random_.Below(grid_.ValueCount(d)));
      }
    }
    return child;
  }

  // Most children are not legal, or were seen before: the untested candidate most like it stands
  // in, any of several.
  size_t Nearest(const std::vector<Grid::Coordinate>& child) {
    grid_.CountDifferences(child, differences_);
    size_t nearest = 0;
    size_t equals = 0;
    auto least = std::numeric_limits<uint16_t>::max();
    for (size_t i = 0; i < grid_.size(); ++i) {
      if (differences_[i] > least || !untested_.Contains(i)) continue;
      if (differences_[i] < least) equals = 0;
      least = differences_[i];
      if (random_.Below(++equals) == 0) nearest = i;
    }
    return nearest;
  }

  Grid grid_;
  Untested untested_;
  Random random_;
  size_t trials_ = 0;
  std::vector<std::pair<double, size_t>> population_;  // by ascending time
  std::vector<uint16_t> differences_;
};

}  // namespace

std::unique_ptr<SearchStrategy> MakeGenetic(std::span<const Candidate> candidates,
                                            const SearchOptions& options) {
  return std::make_unique<Genetic>(candidates, options.seed);
}

}  // namespace moetune
