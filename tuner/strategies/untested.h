// The candidates that a search may still suggest.
#ifndef MOETUNE_TUNER_STRATEGIES_UNTESTED_H_
#define MOETUNE_TUNER_STRATEGIES_UNTESTED_H_

#include <cstddef>
#include <vector>

#include "tuner/random.h"

namespace moetune {

class Untested {
 public:
  explicit Untested(size_t count) : contains_(count, true), left_(count) {}

  bool Contains(size_t candidate) const { return contains_[candidate]; }
  size_t left() const { return left_; }

  // What is gone stays gone.
  void Remove(size_t candidate) {
    if (contains_[candidate]) --left_;
    contains_[candidate] = false;
  }

  // One at random, for left() > 0: of the first eighth as often as of all others. In a sweep that
  // is where the cost model sees the best; in an order that means nothing it does no harm.
  size_t Draw(Random& random) const {
    constexpr int kTries = 32;  // then few are left, and they are looked for one by one
    const auto count = static_cast<double>(contains_.size());
    size_t candidate = 0;
    for (int i = 0; i < kTries; ++i) {
      const double u = random.Uniform();
      candidate = static_cast<size_t>(count * u * u * u);
      if (contains_[candidate]) return candidate;
    }
    while (!contains_[candidate]) candidate = (candidate + 1) % contains_.size();
    return candidate;
  }

 private:
  std::vector<bool> contains_;
  size_t left_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_STRATEGIES_UNTESTED_H_
