// Local search: tries what differs little from the best, looks further around it when that brings
// nothing, and begins elsewhere when that brings nothing either. Of each neighbourhood the most
// promising goes first, by the times of the nearest configs seen.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tuner/random.h"
#include "tuner/search_strategy.h"
#include "tuner/strategies/grid.h"
#include "tuner/strategies/untested.h"

namespace moetune {
namespace {

constexpr size_t kStart = 16;     // configs drawn, of which the best is where the search sets out
constexpr size_t kRestart = 4;    // likewise when it begins elsewhere
constexpr int kMaxRadius = 3;     // parameters changed at once
constexpr size_t kPatience = 12;  // tries without gain at each radius
constexpr size_t kScreened = 32;  // of a neighbourhood are compared by the surrogate
constexpr size_t kMemory = 400;   // latest trials that it knows
constexpr size_t kNearest = 4;    // of them it averages

class Local : public SearchStrategy {
 public:
  Local(std::span<const Candidate> candidates, uint64_t seed)
      : grid_(candidates), untested_(candidates.size()), random_{seed} {}

  std::vector<size_t> Suggest(size_t count) override {
    std::vector<size_t> suggested;
    while (suggested.size() < count && untested_.left() > 0) {
      suggested.push_back(Pick());
      untested_.Remove(suggested.back());
    }
    return suggested;
  }

  void Observe(size_t candidate, std::optional<double> time_us) override {
    untested_.Remove(candidate);
    if (time_us) slowest_log_ = std::max(slowest_log_, std::log(*time_us));
    Trial trial{grid_.Point(candidate), time_us};
    if (trials_.size() < kMemory) {
      trials_.push_back(std::move(trial));
    } else {
      trials_[oldest_] = std::move(trial);
      oldest_ = (oldest_ + 1) % kMemory;
    }
    if (time_us && (!centre_ || *time_us < centre_time_us_)) {
      MoveTo(candidate, *time_us);
    } else if (++misses_ >= kPatience) {
      Widen();
    }
  }

 private:
  struct Trial {
    std::vector<Grid::Coordinate> point;
    std::optional<double> time_us;
  };

  void MoveTo(size_t candidate, double time_us) {
    centre_ = candidate;
    centre_time_us_ = time_us;
    radius_ = 1;
    misses_ = 0;
  }

  void Widen() {
    misses_ = 0;
    if (++radius_ <= kMaxRadius) return;
    centre_.reset();
    to_draw_ = kRestart;
  }

  size_t Pick() {
    while (to_draw_ == 0 && centre_) {
      const std::vector<size_t> neighbours = SomeNeighbours();
      if (!neighbours.empty()) return MostPromising(neighbours);
      Widen();
    }
    if (to_draw_ > 0) --to_draw_;
    return untested_.Draw(random_);
  }

  // Up to kScreened untested candidates at the radius, each as likely as any other.
  std::vector<size_t> SomeNeighbours() {
    grid_.CountDifferences(grid_.Point(*centre_), differences_);
    std::vector<size_t> some;
    size_t seen = 0;
    for (size_t i = 0; i < grid_.size(); ++i) {
      if (differences_[i] != radius_ || !untested_.Contains(i)) continue;
      const size_t place = random_.Below(++seen);
      if (some.size() < kScreened) {
        some.push_back(i);
      } else if (place < kScreened) {
        some[place] = i;
      }
    }
    return some;
  }

  size_t MostPromising(const std::vector<size_t>& candidates) const {
    size_t best = candidates.front();
    double least = std::numeric_limits<double>::infinity();
    for (size_t candidate : candidates) {
      const double estimate = EstimateLog(grid_.Point(candidate));
      if (estimate >= least) continue;
      least = estimate;
      best = candidate;
    }
    return best;
  }

  // The mean over the nearest trials, the nearer the heavier. A failure counts as the slowest seen.
  double EstimateLog(const std::vector<Grid::Coordinate>& point) const {
    std::vector<std::pair<float, double>> near;  // distance, log time
    for (const Trial& trial : trials_) {
      near.emplace_back(Distance(point, trial.point),
                        trial.time_us ? std::log(*trial.time_us) : slowest_log_);
    }
    const size_t count = std::min(kNearest, near.size());
    std::ranges::partial_sort(near, near.begin() + static_cast<std::ptrdiff_t>(count));
    double sum = 0;
    double weights = 0;
    for (size_t i = 0; i < count; ++i) {
      const double weight = 1 / (near[i].first * near[i].first);
      sum += weight * near[i].second;
      weights += weight;
    }
    return sum / weights;
  }

  // Per dimension half for being another value, half for how far it lies.
  float Distance(const std::vector<Grid::Coordinate>& a,
                 const std::vector<Grid::Coordinate>& b) const {
    float distance = 0;
    for (size_t d = 0; d < a.size(); ++d) {
      if (a[d] == b[d]) continue;
      distance += 0.5f + 0.5f * std::abs(grid_.Position(d, a[d]) - grid_.Position(d, b[d]));
    }
    return distance;
  }

  Grid grid_;
  Untested untested_;
  Random random_;
  std::vector<Trial> trials_;
  size_t oldest_ = 0;  // of trials_, once it is full
  double slowest_log_ = -std::numeric_limits<double>::infinity();

  size_t to_draw_ = kStart;
  std::optional<size_t> centre_;
  double centre_time_us_ = 0;
  int radius_ = 1;
  size_t misses_ = 0;
  std::vector<uint16_t> differences_;
};

}  // namespace

std::unique_ptr<SearchStrategy> MakeLocal(std::span<const Candidate> candidates,
                                          const SearchOptions& options) {
  return std::make_unique<Local>(candidates, options.seed);
}

}  // namespace moetune
