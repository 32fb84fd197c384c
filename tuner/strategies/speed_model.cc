#include "tuner/strategies/speed_model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <utility>

namespace moetune {
namespace {

// What a suggestion costs is in proportion to either of these.
constexpr size_t kMaxPool = 2400;
constexpr size_t kMaxSamples = 400;
constexpr size_t kFirstSamples = 300;  // of them at a rebuild; the rest is for what comes after it
constexpr size_t kFitSamples = 96;     // what a fit costs is cubic in it

// Of a draw from N(0, 1).
double ChanceBelow(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

size_t Room(const Grid& grid, size_t most) { return std::min(most, grid.size()); }

}  // namespace

SpeedModel::SpeedModel(const Grid& grid)
    : grid_(grid),
      speed_kernel_(PriorKernel(grid)),
      outcome_kernel_(PriorKernel(grid)),
      speeds_(grid, Room(grid, kMaxPool), Room(grid, kMaxSamples)),
      outcomes_(grid, Room(grid, kMaxPool), Room(grid, kMaxSamples)) {}

void SpeedModel::Rebuild(std::span<const Trial> trials, std::span<const uint32_t> pool,
                         Random& random) {
  any_failed_ = std::ranges::any_of(trials, [](const Trial& trial) { return trial.speed == 0; });
  speed_kernel_ = FitKernel(grid_, SomeSpeeds(trials, kFitSamples, random), speed_kernel_);
  const std::vector<Sample> speeds = SomeSpeeds(trials, kFirstSamples, random);
  std::vector<Sample> outcomes;
  if (any_failed_) {
    outcome_kernel_ = FitKernel(grid_, SomeOutcomes(trials, kFitSamples, random), outcome_kernel_);
    outcomes = SomeOutcomes(trials, kFirstSamples, random);
  }
  speeds_.Reset(speed_kernel_);
  outcomes_.Reset(outcome_kernel_);
  std::vector<uint32_t> sampled;
  for (const Sample& each : speeds) sampled.push_back(static_cast<uint32_t>(each.candidate));
  for (const Sample& each : outcomes) sampled.push_back(static_cast<uint32_t>(each.candidate));
  AddToPool(sampled);
  AddToPool(pool);
  for (const Sample& each : speeds) {
    speeds_.Learn(*speeds_.PlaceInPool(each.candidate), each.response);
  }
  for (const Sample& each : outcomes) {
    outcomes_.Learn(*outcomes_.PlaceInPool(each.candidate), each.response);
  }
}

// The fastest half, and of the others a random choice.
std::vector<Sample> SpeedModel::SomeSpeeds(std::span<const Trial> trials, size_t count,
                                           Random& random) const {
  std::vector<Sample> samples;
  for (const Trial& trial : trials) {
    if (trial.speed > 0) samples.push_back({trial.candidate, trial.speed});
  }
  if (samples.size() <= count) return samples;
  const auto half = static_cast<std::ptrdiff_t>(count / 2);
  std::ranges::partial_sort(
      samples, samples.begin() + half, std::greater<>(),
      [](const Sample& sample) { return std::pair(sample.response, sample.candidate); });
  random.Shuffle(std::span(samples).subspan(count / 2));
  samples.resize(count);
  return samples;
}

// A random choice, with as many that failed as passed where there are.
std::vector<Sample> SpeedModel::SomeOutcomes(std::span<const Trial> trials, size_t count,
                                             Random& random) const {
  std::vector<Sample> passed;
  std::vector<Sample> failed;
  for (const Trial& trial : trials) {
    (trial.speed > 0 ? passed : failed).push_back({trial.candidate, trial.speed > 0 ? 1.0 : 0.0});
  }
  random.Shuffle(std::span(passed));
  random.Shuffle(std::span(failed));
  const size_t passed_count = std::max(count / 2, count - std::min(count, failed.size()));
  passed.resize(std::min(passed.size(), passed_count));
  failed.resize(std::min(failed.size(), count - passed.size()));
  passed.insert(passed.end(), failed.begin(), failed.end());
  return passed;
}

// Both pools are the same, so that a candidate has one place in both.
void SpeedModel::AddToPool(std::span<const uint32_t> candidates) {
  speeds_.AddToPool(candidates);
  if (any_failed_) outcomes_.AddToPool(candidates);
}

bool SpeedModel::Learn(const Trial& trial) {
  const bool passed = trial.speed > 0;
  if (!passed && !any_failed_) return false;
  const std::optional<size_t> place = speeds_.PlaceInPool(trial.candidate);
  const auto has_room = [&](const GaussianProcess& process) {
    return place && (process.Knows(*place) || !process.IsFull());
  };
  if (passed && !has_room(speeds_)) return false;
  if (any_failed_ && !has_room(outcomes_)) return false;
  if (passed) speeds_.Learn(*place, trial.speed);
  if (any_failed_) outcomes_.Learn(*place, passed ? 1 : 0);
  return true;
}

void SpeedModel::Assume(size_t candidate) {
  const std::optional<size_t> place = speeds_.PlaceInPool(candidate);
  if (!place || speeds_.IsFull()) return;
  speeds_.Learn(*place, speeds_.Mean(speeds_.ResponseScale(), *place));
}

void SpeedModel::ExpectedGains(double best_speed, std::vector<double>& gains) const {
  const GaussianProcess::Scale scale = speeds_.ResponseScale();
  const GaussianProcess::Scale outcome_scale =
      any_failed_ ? outcomes_.ResponseScale() : GaussianProcess::Scale();
  gains.clear();
  for (size_t place = 0; place < pool().size(); ++place) {
    const double deviation = speeds_.Deviation(scale, place);
    const double z = (speeds_.Mean(scale, place) - best_speed) / deviation;
    const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
    gains.push_back(deviation * (z * ChanceBelow(z) + density));
    // Between what passed and what failed lies one half.
    if (any_failed_) {
      gains.back() *= ChanceBelow((outcomes_.Mean(outcome_scale, place) - 0.5) /
                                  outcomes_.Deviation(outcome_scale, place));
    }
  }
}

}  // namespace moetune
