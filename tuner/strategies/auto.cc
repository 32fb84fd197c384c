// The default search. It learns a model of speed from what it has seen (a Gaussian process), and
// suggests the candidate whose expected improvement on the best is the greatest.
//
// A time enters as its reciprocal: what matters are differences among the fast, and as speeds the
// slow lie close together. A failure has no speed; what is like failures is expected to fail.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "tuner/random.h"
#include "tuner/search_strategy.h"
#include "tuner/strategies/gaussian_process.h"
#include "tuner/strategies/grid.h"
#include "tuner/strategies/untested.h"

namespace moetune {
namespace {

constexpr size_t kSpread = 12;  // first suggestions, before there is a model: fewer teach it little
constexpr size_t kLeastSpeeds = 4;   // without them there is none
constexpr size_t kMaxSamples = 400;  // what a suggestion costs is in proportion to this
constexpr size_t kMaxPool = 2400;    // and to this, twice what is drawn: the rest is for neighbours
constexpr size_t kDrawnPool = 1200;
constexpr size_t kFitSamples = 96;       // what a fit costs is cubic in it
constexpr double kGrowthToRefit = 1.25;  // each new sample of many says little new of the kernel

// All that differ from one of the best in one dimension are in the pool, from the very best in two.
constexpr size_t kNeighboursOfBest = 6;
constexpr size_t kSecondNeighboursOfBest = 2;

class Auto : public SearchStrategy {
 public:
  Auto(std::span<const Candidate> candidates, uint64_t seed)
      : grid_(candidates),
        untested_(candidates.size()),
        random_{seed},
        trials_(candidates.size()),
        speed_kernel_(PriorKernel(grid_)),
        speed_(grid_, std::min(kMaxPool, candidates.size()),
               std::min(kMaxSamples, candidates.size())),
        chance_kernel_(PriorKernel(grid_)),
        chance_(grid_, std::min(kMaxPool, candidates.size()),
                std::min(kMaxSamples, candidates.size())) {}

  std::vector<size_t> Suggest(size_t count) override {
    std::vector<size_t> suggested;
    while (suggested.size() < count && untested_.left() > 0) {
      const size_t known = passed_.size() + failed_.size() + pending_.size();
      const bool can_model = known >= kSpread && passed_.size() >= kLeastSpeeds;
      const size_t pick = can_model ? PickByModel() : PickSpread();
      suggested.push_back(pick);
      untested_.Remove(pick);
      trials_[pick].state = State::kPending;
      pending_.push_back(pick);
    }
    return suggested;
  }

  void Observe(size_t candidate, std::optional<double> time_us) override {
    untested_.Remove(candidate);
    if (trials_[candidate].state != State::kUntested) Forget(candidate);
    if (!time_us) {
      trials_[candidate] = {State::kFailed};
      failed_.push_back(candidate);
    } else {
      if (unit_us_ == 0) unit_us_ = *time_us;
      trials_[candidate] = {State::kPassed, unit_us_ / *time_us};
      passed_.push_back(candidate);
    }
    const bool is_best = trials_[candidate].speed > best_speed_;
    if (is_best) best_speed_ = trials_[candidate].speed;
    if (model_stands_) Teach(candidate);
    if (model_stands_ && is_best) AddNeighbours(candidate);
  }

 private:
  enum class State : uint8_t { kUntested, kPending, kPassed, kFailed };
  struct Trial {
    State state = State::kUntested;
    double speed = 0;  // in units of the first one
  };

  void Forget(size_t candidate) {
    const State state = trials_[candidate].state;
    std::erase(state == State::kPending  ? pending_
               : state == State::kPassed ? passed_
                                         : failed_,
               candidate);
    if (state != State::kPassed) return;
    best_speed_ = 0;
    for (size_t each : passed_) best_speed_ = std::max(best_speed_, trials_[each].speed);
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

  size_t PickByModel() {
    std::optional<size_t> place;
    const bool stale =
        passed_.size() + failed_.size() >= refit_at_ || speed_.IsFull() || chance_.IsFull();
    if (model_stands_ && !stale) place = MostPromising();
    if (!place) {
      Remodel();
      place = MostPromising();
    }
    // Until its time is known it is taken to be as predicted, so that the next one lies elsewhere.
    speed_.Learn(*place, speed_.Mean(speed_.ResponseScale(), *place));
    return speed_.pool()[*place];
  }

  // The place in the pool with the greatest expected improvement; none where all were suggested.
  std::optional<size_t> MostPromising() const {
    const GaussianProcess::Scale scale = speed_.ResponseScale();
    const double pass_mean = failed_.empty() ? 1 : chance_.ResponseScale().mean;
    const GaussianProcess::Scale cscale =
        failed_.empty() ? GaussianProcess::Scale{} : chance_.ResponseScale();
    (void)pass_mean;
    std::optional<size_t> pick;
    double most = 0;
    for (size_t place = 0; place < speed_.pool().size(); ++place) {
      if (!untested_.Contains(speed_.pool()[place])) continue;
      const double deviation = speed_.Deviation(scale, place);
      const double z = (speed_.Mean(scale, place) - best_speed_) / deviation;
      const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
      const double chance = 0.5 * std::erfc(-z / std::numbers::sqrt2);
      const double gain =
          deviation * (z * chance + density) *
          (failed_.empty() ? 1 : std::clamp<double>(chance_.Mean(cscale, place), 0.001, 1));
      if (pick && gain <= most) continue;
      pick = place;
      most = gain;
    }
    return pick;
  }

  // A new kernel, and the process from the start with another pool.
  void Remodel() {
    const size_t known = passed_.size() + failed_.size();
    refit_at_ = std::max(known + kLeastSpeeds,
                         static_cast<size_t>(static_cast<double>(known) * kGrowthToRefit));
    speed_kernel_ = FitKernel(grid_, BestAndOthers(kFitSamples), speed_kernel_);
    speed_.Reset(speed_kernel_);
    // A quarter of the room is for what comes until the next time.
    const std::vector<Sample> samples = BestAndOthers(kMaxSamples * 3 / 4);
    std::vector<uint32_t> pool(pending_.begin(), pending_.end());
    for (const Sample& sample : samples) pool.push_back(static_cast<uint32_t>(sample.candidate));
    AppendPool(pool);
    speed_.AddToPool(pool);
    for (const Sample& sample : samples) {
      speed_.Learn(*speed_.PlaceInPool(sample.candidate), sample.response);
    }
    for (size_t candidate : pending_) {
      const std::optional<size_t> place = speed_.PlaceInPool(candidate);
      if (place && !speed_.IsFull()) {
        speed_.Learn(*place, speed_.Mean(speed_.ResponseScale(), *place));
      }
    }
    chance_.Reset(chance_kernel_);
    if (!failed_.empty()) {
      chance_kernel_ = FitKernel(grid_, Outcomes(kFitSamples), chance_kernel_);
      chance_.Reset(chance_kernel_);
      const std::vector<Sample> outcomes = Outcomes(kMaxSamples * 3 / 4);
      std::vector<uint32_t> all = pool;
      for (const Sample& o : outcomes) all.push_back(o.candidate);
      // same places
      chance_.AddToPool(all);
      speed_.AddToPool(all);
      for (const Sample& o : outcomes) {
        auto place = chance_.PlaceInPool(o.candidate);
        if (place) chance_.Learn(*place, o.response);
      }
    }
    model_stands_ = true;
  }

  std::vector<Sample> Outcomes(size_t count) {
    std::vector<Sample> samples;
    std::vector<size_t> p = passed_, f = failed_;
    random_.Shuffle(std::span(p));
    random_.Shuffle(std::span(f));
    const size_t half = count / 2;
    size_t nf = std::min(f.size(), std::max(half, count - std::min(count, p.size())));
    size_t np = std::min(p.size(), count - nf);
    for (size_t i = 0; i < nf; ++i) samples.push_back({f[i], 0});
    for (size_t i = 0; i < np; ++i) samples.push_back({p[i], 1});
    return samples;
  }

  std::vector<Sample> BestAndOthers(size_t count) {
    std::vector<size_t> chosen = passed_;
    if (count < chosen.size()) {
      SortBest(chosen, count / 2);
      random_.Shuffle(std::span(chosen).subspan(count / 2));
      chosen.resize(count);
    }
    std::vector<Sample> samples;
    for (size_t candidate : chosen) samples.push_back({candidate, trials_[candidate].speed});
    return samples;
  }

  // Brings the `count` fastest to the front, in order.
  void SortBest(std::vector<size_t>& candidates, size_t count) const {
    count = std::min(count, candidates.size());
    std::ranges::partial_sort(
        candidates, candidates.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>(),
        [&](size_t candidate) { return std::pair(trials_[candidate].speed, candidate); });
  }

  void AppendPool(std::vector<uint32_t>& pool) {
    std::vector<size_t> best = passed_;
    SortBest(best, kNeighboursOfBest);
    for (size_t i = 0; i < std::min(best.size(), kNeighboursOfBest); ++i) {
      AppendNeighbours(best[i], i < kSecondNeighboursOfBest ? 2 : 1, pool);
    }
    // Never more than leaves room for the draws.
    pool.resize(std::min(pool.size(), kMaxPool - kDrawnPool));
    if (untested_.left() <= kDrawnPool) {
      for (size_t i = 0; i < grid_.size(); ++i) {
        if (untested_.Contains(i)) pool.push_back(static_cast<uint32_t>(i));
      }
    } else {
      for (size_t i = 0; i < kDrawnPool; ++i) {
        pool.push_back(static_cast<uint32_t>(untested_.Draw(random_)));
      }
    }
  }

  void AppendNeighbours(size_t candidate, int differences, std::vector<uint32_t>& pool) {
    grid_.CountDifferences(grid_.Point(candidate), differences_);
    for (size_t i = 0; i < grid_.size(); ++i) {
      if (differences_[i] <= differences && untested_.Contains(i)) {
        pool.push_back(static_cast<uint32_t>(i));
      }
    }
  }

  void AddNeighbours(size_t candidate) {
    std::vector<uint32_t> neighbours;
    AppendNeighbours(candidate, 2, neighbours);
    const size_t first_place = speed_.pool().size();
    speed_.AddToPool(neighbours);
    if (!failed_.empty()) chance_.AddToPool(neighbours);
    (void)first_place;
  }

  // Tells the standing model of a trial.
  void Teach(size_t candidate) {
    const std::optional<size_t> place = speed_.PlaceInPool(candidate);
    if (!place || (speed_.IsFull() && !speed_.Knows(*place))) {
      model_stands_ = false;
      return;
    }
    const Trial& trial = trials_[candidate];
    if (trial.state == State::kPassed) speed_.Learn(*place, trial.speed);
    if (trial.state == State::kFailed && failed_.size() == 1) {
      model_stands_ = false;
      return;
    }
    if (!failed_.empty()) {
      if (chance_.IsFull() && !chance_.Knows(*place)) {
        model_stands_ = false;
        return;
      }
      chance_.Learn(*place, trial.state == State::kPassed ? 1 : 0);
    }
  }

  Grid grid_;
  Untested untested_;
  Random random_;
  std::vector<Trial> trials_;    // per candidate
  std::vector<size_t> pending_;  // candidates, by state
  std::vector<size_t> passed_;
  std::vector<size_t> failed_;
  std::vector<std::vector<Grid::Coordinate>> spread_;
  double unit_us_ = 0;
  double best_speed_ = 0;

  // Of the same pool, so that a candidate has the same place in both.
  Kernel speed_kernel_;
  GaussianProcess speed_;
  Kernel chance_kernel_;
  GaussianProcess chance_;  // to pass: 1 or 0 of what was tried; knows nothing while nothing failed
  bool model_stands_ = false;
  size_t refit_at_ = 0;  // trials
  std::vector<uint16_t> differences_;
};

}  // namespace

std::unique_ptr<SearchStrategy> MakeAuto(std::span<const Candidate> candidates,
                                         const SearchOptions& options) {
  return std::make_unique<Auto>(candidates, options.seed);
}

}  // namespace moetune
