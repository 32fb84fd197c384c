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
        kernel_(PriorKernel(grid_)),
        process_(grid_, std::min(kMaxPool, candidates.size()),
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
    const bool stale = passed_.size() >= refit_at_ || process_.IsFull();
    if (model_stands_ && !stale) place = MostPromising();
    if (!place) {
      Remodel();
      place = MostPromising();
    }
    // Until its time is known it is taken to be as predicted, so that the next one lies elsewhere.
    process_.Learn(*place, process_.Mean(process_.ResponseScale(), *place));
    return process_.pool()[*place];
  }

  // The place in the pool with the greatest expected improvement; none where all were suggested.
  std::optional<size_t> MostPromising() const {
    const GaussianProcess::Scale scale = process_.ResponseScale();
    std::optional<size_t> pick;
    double most = 0;
    for (size_t place = 0; place < process_.pool().size(); ++place) {
      if (!untested_.Contains(process_.pool()[place])) continue;
      const double deviation = process_.Deviation(scale, place);
      const double z = (process_.Mean(scale, place) - best_speed_) / deviation;
      const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
      const double chance = 0.5 * std::erfc(-z / std::numbers::sqrt2);
      const double gain = deviation * (z * chance + density) * ChanceToPass(place);
      if (pick && gain <= most) continue;
      pick = place;
      most = gain;
    }
    return pick;
  }

  // A new kernel, and the process from the start with another pool.
  void Remodel() {
    refit_at_ = std::max(passed_.size() + kLeastSpeeds,
                         static_cast<size_t>(static_cast<double>(passed_.size()) * kGrowthToRefit));
    kernel_ = FitKernel(grid_, BestAndOthers(kFitSamples), kernel_);
    process_.Reset(kernel_);
    // A quarter of the room is for what comes until the next time.
    const std::vector<Sample> samples = BestAndOthers(kMaxSamples * 3 / 4);
    std::vector<uint32_t> pool(pending_.begin(), pending_.end());
    for (const Sample& sample : samples) pool.push_back(static_cast<uint32_t>(sample.candidate));
    AppendPool(pool);
    process_.AddToPool(pool);
    for (const Sample& sample : samples) {
      process_.Learn(*process_.PlaceInPool(sample.candidate), sample.response);
    }
    for (size_t candidate : pending_) {
      const std::optional<size_t> place = process_.PlaceInPool(candidate);
      if (place && !process_.IsFull()) {
        process_.Learn(*place, process_.Mean(process_.ResponseScale(), *place));
      }
    }
    odds_.clear();
    WeighAll(0);
    model_stands_ = true;
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
    const size_t first_place = process_.pool().size();
    process_.AddToPool(neighbours);
    WeighAll(first_place);
  }

  // Tells the standing model of a trial.
  void Teach(size_t candidate) {
    const std::optional<size_t> place = process_.PlaceInPool(candidate);
    if (!place || (process_.IsFull() && !process_.Knows(*place))) {
      model_stands_ = false;
      return;
    }
    const Trial& trial = trials_[candidate];
    if (trial.state == State::kPassed) process_.Learn(*place, trial.speed);
    if (failed_.empty()) return;
    if (odds_.empty()) {
      WeighAll(0);
    } else {
      Weigh(candidate, 0);
    }
  }

  // Whether a candidate fails: what share of those like it did.
  struct Odds {
    float failed = 0;
    float seen = 0;
  };

  double ChanceToPass(size_t place) const {
    constexpr float kBelief = 0.2f;  // in its passing, against the first failure
    if (odds_.empty()) return 1;
    return 1 - odds_[place].failed / (odds_[place].seen + kBelief);
  }

  void Weigh(size_t candidate, size_t first_place) {
    alikeness_.resize(odds_.size());
    process_.AlikenessTo(candidate, first_place, alikeness_);
    const float failed = trials_[candidate].state == State::kFailed ? 1 : 0;
    for (size_t place = first_place; place < odds_.size(); ++place) {
      const float weight = alikeness_[place - first_place];
      odds_[place].seen += weight;
      odds_[place].failed += failed * weight;
    }
  }

  // Nothing is weighed while nothing failed. Of very many trials an even share stands for all.
  void WeighAll(size_t first_place) {
    if (failed_.empty()) return;
    odds_.resize(process_.pool().size());
    const size_t stride = (passed_.size() + failed_.size()) / kMaxSamples + 1;
    for (size_t i = 0; i < passed_.size(); i += stride) Weigh(passed_[i], first_place);
    for (size_t i = 0; i < failed_.size(); i += stride) Weigh(failed_[i], first_place);
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

  Kernel kernel_;
  GaussianProcess process_;
  std::vector<Odds> odds_;  // per place in the pool; empty while nothing failed
  bool model_stands_ = false;
  size_t refit_at_ = 0;  // passed trials
  std::vector<uint16_t> differences_;
  std::vector<float> alikeness_;
};

}  // namespace

std::unique_ptr<SearchStrategy> MakeAuto(std::span<const Candidate> candidates, uint64_t seed) {
  return std::make_unique<Auto>(candidates, seed);
}

}  // namespace moetune
