// The default search. It learns a model of speed from what it has seen, and suggests the candidate
// whose expected improvement on the best is the greatest.
//
// A time enters as its reciprocal: what matters are differences among the fast, and as speeds the
// slow lie close together.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tuner/random.h"
#include "tuner/search_strategy.h"
#include "tuner/strategies/grid.h"
#include "tuner/strategies/speed_model.h"
#include "tuner/strategies/untested.h"

namespace moetune {
namespace {

constexpr size_t kSpread = 12;  // first suggestions, before there is a model: fewer teach it little
constexpr size_t kLeastSpeeds = 4;       // without them there is none
constexpr double kGrowthToRefit = 1.25;  // each new trial of many says little new of the kernel

// The pool: candidates drawn at random, and all that differ from one of the best in one dimension,
// from the very best in two.
constexpr size_t kDrawnPool = 1200;
constexpr size_t kNeighbourPool = 600;
constexpr size_t kNeighboursOfBest = 6;
constexpr size_t kSecondNeighboursOfBest = 2;

// A model can be sure and wrong. So it does not end a search before as many trials again have
// brought nothing, and these at least.
constexpr size_t kPatience = 100;

class Auto : public SearchStrategy {
 public:
  Auto(std::span<const Candidate> candidates, const SearchOptions& options)
      : grid_(candidates, options.ordered),
        least_gain_(options.least_gain),
        untested_(candidates.size()),
        random_{options.seed},
        states_(candidates.size(), State::kUntested),
        model_(grid_) {}

  std::vector<size_t> Suggest(size_t count) override {
    std::vector<size_t> suggested;
    while (suggested.size() < count && untested_.left() > 0) {
      const bool can_model = trials_.size() + pending_.size() >= kSpread && passed_ >= kLeastSpeeds;
      const std::optional<size_t> pick = can_model ? PickByModel() : PickSpread();
      if (!pick) break;
      suggested.push_back(*pick);
      untested_.Remove(*pick);
      states_[*pick] = State::kPending;
      pending_.push_back(*pick);
    }
    return suggested;
  }

  void Observe(size_t candidate, std::optional<double> time_us) override {
    untested_.Remove(candidate);
    Forget(candidate);
    states_[candidate] = State::kTried;
    if (time_us && unit_us_ == 0) unit_us_ = *time_us;
    const SpeedModel::Trial trial = {candidate, time_us ? unit_us_ / *time_us : 0};
    trials_.push_back(trial);
    if (time_us) ++passed_;
    const bool is_best = trial.speed > best_speed_;
    if (trial.speed > best_speed_ * (1 + least_gain_)) last_gain_ = trials_.size();
    if (is_best) best_speed_ = trial.speed;
    model_stands_ = model_stands_ && model_.Learn(trial);
    if (model_stands_ && is_best) {
      std::vector<uint32_t> neighbours;
      AppendNeighbours(candidate, 2, neighbours);
      model_.AddToPool(neighbours);
    }
  }

 private:
  enum class State : uint8_t { kUntested, kPending, kTried };

  void Forget(size_t candidate) {
    if (states_[candidate] == State::kPending) std::erase(pending_, candidate);
    if (states_[candidate] != State::kTried) return;
    const auto trial = std::ranges::find(trials_, candidate, &SpeedModel::Trial::candidate);
    if (trial->speed > 0) --passed_;
    trials_.erase(trial);
    best_speed_ = 0;
    for (const SpeedModel::Trial& each : trials_) best_speed_ = std::max(best_speed_, each.speed);
  }

  // Of a few draws the one least like those before.
  size_t PickSpread() {
    constexpr int kDraws = 3;  // of many, most would come from the corners of the space
    size_t pick = 0;
    size_t most = 0;
    for (int i = 0; i < kDraws; ++i) {
      const size_t drawn = untested_.Draw(random_);
      const std::vector<Grid::Coordinate> point = grid_.Point(drawn);
      size_t least = point.size();
      for (const std::vector<Grid::Coordinate>& other : spread_) {
        size_t differences = 0;
        for (size_t d = 0; d < point.size(); ++d) differences += point[d] != other[d] ? 1 : 0;
        least = std::min(least, differences);
      }
      if (i == 0 || least > most) {
        pick = drawn;
        most = least;
      }
    }
    if (spread_.size() < kSpread) spread_.push_back(grid_.Point(pick));
    return pick;
  }

  // None when too little is left to gain.
  std::optional<size_t> PickByModel() {
    const bool stale = !model_stands_ || trials_.size() >= refit_at_;
    std::optional<size_t> pick;
    if (!stale) pick = MostPromising();
    if (!pick) {
      Remodel();
      pick = MostPromising();
    }
    const bool patient = trials_.size() >= last_gain_ + std::max(kPatience, last_gain_);
    if (patient && gain_left_ < least_gain_ * best_speed_) return std::nullopt;
    model_.Assume(*pick);
    return pick;
  }

  // The candidate with the greatest gain; none where all of the pool were suggested. Also sums up
  // what is left to gain: as if no two candidates were fast for the same reason, so rather too
  // much.
  std::optional<size_t> MostPromising() {
    model_.ExpectedGains(best_speed_, gains_);
    std::optional<size_t> pick;
    double most = 0;
    gain_left_ = 0;
    for (size_t place = 0; place < gains_.size(); ++place) {
      const size_t candidate = model_.pool()[place];
      if (!untested_.Contains(candidate)) continue;
      gain_left_ += gains_[place];
      if (pick && gains_[place] <= most) continue;
      pick = candidate;
      most = gains_[place];
    }
    return pick;
  }

  void Remodel() {
    refit_at_ = std::max(trials_.size() + kLeastSpeeds,
                         static_cast<size_t>(static_cast<double>(trials_.size()) * kGrowthToRefit));
    std::vector<uint32_t> pool(pending_.begin(), pending_.end());
    AppendDraws(pool);
    AppendNeighboursOfBest(pool);
    model_.Rebuild(trials_, pool, random_);
    for (size_t candidate : pending_) model_.Assume(candidate);
    model_stands_ = true;
  }

  void AppendDraws(std::vector<uint32_t>& pool) {
    if (untested_.left() > kDrawnPool) {
      for (size_t i = 0; i < kDrawnPool; ++i) {
        pool.push_back(static_cast<uint32_t>(untested_.Draw(random_)));
      }
      return;
    }
    for (size_t i = 0; i < grid_.size(); ++i) {
      if (untested_.Contains(i)) pool.push_back(static_cast<uint32_t>(i));
    }
  }

  void AppendNeighboursOfBest(std::vector<uint32_t>& pool) {
    std::vector<SpeedModel::Trial> best = trials_;
    const size_t count = std::min(passed_, kNeighboursOfBest);
    std::ranges::partial_sort(
        best, best.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>(),
        [](const SpeedModel::Trial& trial) { return std::pair(trial.speed, trial.candidate); });
    const size_t room = pool.size() + kNeighbourPool;
    for (size_t i = 0; i < count; ++i) {
      AppendNeighbours(best[i].candidate, i < kSecondNeighboursOfBest ? 2 : 1, pool);
    }
    pool.resize(std::min(pool.size(), room));
  }

  void AppendNeighbours(size_t candidate, int differences, std::vector<uint32_t>& pool) {
    grid_.CountDifferences(grid_.Point(candidate), differences_);
    for (size_t i = 0; i < grid_.size(); ++i) {
      if (differences_[i] <= differences && untested_.Contains(i)) {
        pool.push_back(static_cast<uint32_t>(i));
      }
    }
  }

  Grid grid_;
  double least_gain_;
  Untested untested_;
  Random random_;
  std::vector<State> states_;              // per candidate
  std::vector<size_t> pending_;            // suggested, and not observed yet
  std::vector<SpeedModel::Trial> trials_;  // in the order of observation
  size_t passed_ = 0;                      // of trials_
  std::vector<std::vector<Grid::Coordinate>> spread_;
  double unit_us_ = 0;  // the first time: of the speeds
  double best_speed_ = 0;

  SpeedModel model_;
  bool model_stands_ = false;
  size_t refit_at_ = 0;   // trials
  size_t last_gain_ = 0;  // trials when the best last improved by more than least_gain_
  double gain_left_ = 0;
  std::vector<double> gains_;
  std::vector<uint16_t> differences_;
};

}  // namespace

std::unique_ptr<SearchStrategy> MakeAuto(std::span<const Candidate> candidates,
                                         const SearchOptions& options) {
  return std::make_unique<Auto>(candidates, options);
}

}  // namespace moetune
