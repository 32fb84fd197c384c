// A Gaussian process over a grid: from the responses of a few points it predicts those of others,
// and how sure it is. Made for many cheap steps: one more point costs points * pool
// multiplications.
#ifndef MOETUNE_TUNER_STRATEGIES_GAUSSIAN_PROCESS_H_
#define MOETUNE_TUNER_STRATEGIES_GAUSSIAN_PROCESS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tuner/strategies/grid.h"

namespace moetune {

struct Sample {
  size_t candidate = 0;
  double response = 0;
};

// How alike two points are: the product over dimensions of (1 + exp(-rate * gap)) / 2, with
// gap = 1 - order + order * |difference of positions| between unequal values. Multiplied out, the
// product is a sum over all sets of parameters: their effects alone, in pairs, in threes, ...
struct Kernel {
  std::vector<float> log_rates;  // per dimension: how much it matters
  float order_logit = 0;  // order = logistic of it: 0 values are names, 1 they are magnitudes
  float log_noise = 0;    // of the variance that no dimension explains, relative to all of it
};

Kernel PriorKernel(const Grid& grid);

// The likeliest kernel for the samples given the prior, found by a search from `start`.
Kernel FitKernel(const Grid& grid, std::span<const Sample> samples, const Kernel& start);

// The points that a kernel is computed between, by columns so that a row is a few sweeps over
// memory.
class KernelPoints {
 public:
  KernelPoints(const Grid& grid, size_t capacity) : grid_(grid), capacity_(capacity) {
    coordinates_.resize(grid.dimensions() * capacity);
  }

  size_t size() const { return size_; }
  void Clear() { size_ = 0; }
  void Add(size_t candidate);  // size() < capacity

  // row[i] = alikeness of `candidate` and point i, for i in [first, size()).
  void Row(const Kernel& kernel, size_t candidate, size_t first, std::span<float> row) const;

 private:
  const Grid& grid_;
  size_t capacity_;
  size_t size_ = 0;
  std::vector<Grid::Coordinate> coordinates_;  // [dimension][point]
};

// Not copied: it holds megabytes.
class GaussianProcess {
 public:
  // `grid` is borrowed. Never more than `max_pool` candidates in the pool and `max_samples`
  // samples.
  GaussianProcess(const Grid& grid, size_t max_pool, size_t max_samples);
  GaussianProcess(const GaussianProcess&) = delete;
  GaussianProcess& operator=(const GaussianProcess&) = delete;

  // Forgets samples and pool.
  void Reset(Kernel kernel);

  // Candidates to predict; a sample must be one of them. Those that are in it already, and what
  // does not fit, are left out.
  void AddToPool(std::span<const uint32_t> candidates);
  std::span<const uint32_t> pool() const { return pool_; }
  std::optional<size_t> PlaceInPool(size_t candidate) const;
  // row[i] = how alike `candidate` and place first + i of the pool are.
  void AlikenessTo(size_t candidate, size_t first, std::span<float> row) const {
    points_.Row(kernel_, candidate, first, row);
  }

  // Learns a response; a second one for the same place replaces the first. A new one needs
  // !IsFull().
  void Learn(size_t place, double response);
  bool Knows(size_t place) const { return row_of_[place] >= 0; }
  bool IsFull() const { return rows_.size() == max_samples_; }

  // After the first sample, of what is at this place: the expected response, and its standard
  // deviation.
  struct Scale {
    float mean = 0;       // of the process, with no sample near
    float deviation = 0;  // likewise, above zero
  };
  Scale ResponseScale() const;
  float Mean(const Scale& scale, size_t place) const {
    return scale.mean + response_part_[place] - scale.mean * ones_part_[place];
  }
  float Deviation(const Scale& scale, size_t place) const;

 private:
  // Row j of the Cholesky factor L of the samples' kernel matrix, and what it makes of the two
  // right-hand sides that all predictions are made of.
  struct Row {
    size_t place = 0;
    double response = 0;
    std::vector<float> factor;
    float response_part = 0;  // (L^-1 responses)[j]
    float ones_part = 0;      // (L^-1 1)[j]
  };

  void ExtendRow(size_t row, size_t first);
  void Propagate(size_t first_row);
  std::span<float> Solved(size_t row) { return {&solved_[row * max_pool_], pool_.size()}; }

  size_t max_pool_;
  size_t max_samples_;
  Kernel kernel_;
  KernelPoints points_;
  std::vector<uint32_t> pool_;
  std::vector<int32_t> places_;  // per candidate: place in the pool, or -1
  std::vector<Row> rows_;
  std::vector<int32_t> row_of_;       // per place: its row, or -1
  std::vector<float> solved_;         // [row][place]: L^-1 times the kernel of samples and pool
  std::vector<float> variance_;       // per place, relative to the process's
  std::vector<float> response_part_;  // per place: kernel * K^-1 * responses
  std::vector<float> ones_part_;      // per place: kernel * K^-1 * 1
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_STRATEGIES_GAUSSIAN_PROCESS_H_
