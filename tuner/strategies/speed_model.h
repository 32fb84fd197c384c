// SpeedModel: what a search believes of its candidates: how fast they are, and whether they run at
// all. Two Gaussian processes over one pool of candidates.
#ifndef MOETUNE_TUNER_STRATEGIES_SPEED_MODEL_H_
#define MOETUNE_TUNER_STRATEGIES_SPEED_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tuner/random.h"
#include "tuner/strategies/gaussian_process.h"
#include "tuner/strategies/grid.h"

namespace moetune {

class SpeedModel {
 public:
  // A candidate that was tried. Its speed is in whatever unit; zero: it failed.
  struct Trial {
    size_t candidate = 0;
    double speed = 0;
  };

  // `grid` is borrowed, and has a candidate at least.
  explicit SpeedModel(const Grid& grid);

  // Begins anew: with this pool, the trials beside it, and kernels fitted to the trials, of which
  // one at least has passed. The pool is cut where there is no room.
  void Rebuild(std::span<const Trial> trials, std::span<const uint32_t> pool, Random& random);

  // Only candidates in the pool have gains. What does not fit is left out.
  void AddToPool(std::span<const uint32_t> candidates);
  std::span<const uint32_t> pool() const { return speeds_.pool(); }

  // False where it can't take it in: it is time to rebuild.
  bool Learn(const Trial& trial);

  // Takes a candidate to be as fast as expected until Learn says more, so that the next suggestion
  // lies elsewhere. Nothing happens where there is no room.
  void Assume(size_t candidate);

  // For each place of the pool by how much it should exceed `best_speed`, where it does, times the
  // chance that it does and passes: its expected improvement.
  void ExpectedGains(double best_speed, std::vector<double>& gains) const;

 private:
  std::vector<Sample> SomeSpeeds(std::span<const Trial> trials, size_t count, Random& random) const;
  std::vector<Sample> SomeOutcomes(std::span<const Trial> trials, size_t count,
                                   Random& random) const;

  const Grid& grid_;
  Kernel speed_kernel_;
  Kernel outcome_kernel_;
  GaussianProcess speeds_;    // of what passed
  GaussianProcess outcomes_;  // 1: passed, 0: failed; without samples while nothing failed
  bool any_failed_ = false;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_STRATEGIES_SPEED_MODEL_H_
