// Random numbers that are the same on every machine: the standard library's distributions are not.
#ifndef MOETUNE_TUNER_RANDOM_H_
#define MOETUNE_TUNER_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace moetune {

// SplitMix64. A stream is named by the words that it is made from: a seed, and what it is for.
class Random {
 public:
  Random(std::initializer_list<uint64_t> words) {
    for (uint64_t word : words) {
      state_ ^= word;
      state_ = Next();
    }
  }

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  // In (0, 1): never zero, so that its logarithm is finite.
  double Uniform() { return (static_cast<double>(Next() >> 11) + 0.5) * 0x1p-53; }

  // In [0, bound), for bound > 0.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

  // From N(0, 1), by Box and Muller's transform, which makes two at a time.
  float Normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const float radius = std::sqrt(-2.0f * std::log(static_cast<float>(Uniform())));
    const float angle = 2.0f * std::numbers::pi_v<float> * static_cast<float>(Uniform());
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

  template <typename T>
  void Shuffle(std::span<T> values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(i)]);
  }

 private:
  uint64_t state_ = 0;
  float spare_ = 0;
  bool has_spare_ = false;
};

// The indices below `count`, each time in an order drawn anew.
class RandomOrder {
 public:
  RandomOrder(size_t count, uint64_t seed) : order_(count), random_{seed} {
    std::iota(order_.begin(), order_.end(), size_t{0});
  }

  std::span<const size_t> Next() {
    random_.Shuffle(std::span(order_));
    return order_;
  }

 private:
  std::vector<size_t> order_;
  Random random_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_RANDOM_H_
