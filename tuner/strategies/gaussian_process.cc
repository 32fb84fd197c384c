#include "tuner/strategies/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace moetune {
namespace {

// A prior under which a parameter matters some, and the responses repeat within a few percent.
// Broad: with a dozen samples it only keeps the search from extremes, with fifty it hardly shows.
constexpr double kMeanLogRate = -1.5;
constexpr double kDeviationLogRate = 1;
constexpr double kMeanLogNoise = -4.6;  // 1 %
constexpr double kDeviationLogNoise = 1;
constexpr double kDeviationOrderLogit = 2;

// Keeps the matrices positive definite in single precision.
constexpr float kLeastDiagonal = 1e-5f;

// a[i] -= factor * b[i]: nearly all the time of this file is spent here.
void Subtract(std::span<float> a, float factor, std::span<const float> b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] -= factor * b[i];
}

double Square(double x) { return x * x; }

// The logarithm of how likely a kernel makes samples, with its prior; the process's mean and
// variance are those that make them likeliest.
class Likelihood {
 public:
  Likelihood(const Grid& grid, std::span<const Sample> samples)
      : samples_(samples), points_(grid, samples.size()), rows_(samples.size()) {
    for (const Sample& sample : samples) points_.Add(sample.candidate);
    for (size_t i = 0; i < samples.size(); ++i) rows_[i].resize(samples.size() - i + 2);
  }

  double operator()(const Kernel& kernel) {
    const size_t count = samples_.size();
    const float noise = std::exp(kernel.log_noise);
    // Row i of the upper triangle from the diagonal on, then the two right-hand sides. Elimination
    // by rows runs over contiguous memory, and solves for both on the way.
    for (size_t i = 0; i < count; ++i) {
      points_.Row(kernel, samples_[i].candidate, i, rows_[i]);
      rows_[i][0] = 1 + noise;
      rows_[i][count - i] = static_cast<float>(samples_[i].response);
      rows_[i][count - i + 1] = 1;
    }
    double log_determinant = 0;
    double responses = 0;
    double mixed = 0;
    double ones = 0;
    for (size_t i = 0; i < count; ++i) {
      const float diagonal = std::sqrt(std::max(rows_[i][0], kLeastDiagonal));
      log_determinant += std::log(diagonal);
      for (float& value : rows_[i]) value /= diagonal;
      for (size_t j = i + 1; j < count; ++j) {
        Subtract(rows_[j], rows_[i][j - i], std::span(rows_[i]).subspan(j - i));
      }
      responses += Square(rows_[i][count - i]);
      mixed += static_cast<double>(rows_[i][count - i]) * rows_[i][count - i + 1];
      ones += Square(rows_[i][count - i + 1]);
    }
    const double residual = std::max(responses - mixed * mixed / ones, 1e-9);
    return -0.5 * static_cast<double>(count) * std::log(residual) - log_determinant + Prior(kernel);
  }

 private:
  static double Prior(const Kernel& kernel) {
    double sum = Square((kernel.log_noise - kMeanLogNoise) / kDeviationLogNoise) +
                 Square(kernel.order_logit / kDeviationOrderLogit);
    for (float log_rate : kernel.log_rates) {
      sum += Square((log_rate - kMeanLogRate) / kDeviationLogRate);
    }
    return -0.5 * sum;
  }

  std::span<const Sample> samples_;
  KernelPoints points_;
  std::vector<std::vector<float>> rows_;
};

}  // namespace

Kernel PriorKernel(const Grid& grid) {
  return {.log_rates = std::vector<float>(grid.dimensions(), static_cast<float>(kMeanLogRate)),
          .log_noise = static_cast<float>(kMeanLogNoise)};
}

// One number at a time, by steps that shrink: there is no need for precision, and what was found
// for fewer samples is a good start.
Kernel FitKernel(const Grid& grid, std::span<const Sample> samples, const Kernel& start) {
  constexpr double kStep = 0.7;  // of a logarithm: a factor of two
  constexpr int kSweeps = 2;
  constexpr int kStepsAtOnce = 2;
  Likelihood likelihood(grid, samples);
  Kernel best = start;
  double best_likelihood = likelihood(best);
  std::vector<std::pair<float*, double>> numbers;
  for (float& log_rate : best.log_rates) numbers.emplace_back(&log_rate, kStep);
  numbers.emplace_back(&best.log_noise, kStep);
  numbers.emplace_back(&best.order_logit, kStep * kDeviationOrderLogit);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (auto& [number, step] : numbers) {
      for (const double direction : {step, -step}) {
        int taken = 0;
        for (; taken < kStepsAtOnce; ++taken) {
          const float before = *number;
          *number += static_cast<float>(direction);
          const double reached = likelihood(best);
          if (reached <= best_likelihood) {
            *number = before;
            break;
          }
          best_likelihood = reached;
        }
        if (taken > 0) break;
      }
      step *= kStep;
    }
  }
  return best;
}

void KernelPoints::Add(size_t candidate) {
  for (size_t d = 0; d < grid_.dimensions(); ++d) {
    coordinates_[d * capacity_ + size_] = grid_.Column(d)[candidate];
  }
  ++size_;
}

void KernelPoints::Row(const Kernel& kernel, size_t candidate, size_t first,
                       std::span<float> row) const {
  const float order = 1 / (1 + std::exp(-kernel.order_logit));
  const std::span<float> values = row.first(size_ - first);
  std::ranges::fill(values, 1.0f);
  std::vector<float> factors;  // by the value of the other point
  for (size_t d = 0; d < grid_.dimensions(); ++d) {
    const float rate = std::exp(kernel.log_rates[d]);
    const Grid::Coordinate own = grid_.Column(d)[candidate];
    const float position = grid_.Position(d, own);
    factors.assign(grid_.ValueCount(d), 1);
    for (size_t value = 0; value < factors.size(); ++value) {
      if (value == own) continue;
      const float distance =
          std::abs(grid_.Position(d, static_cast<Grid::Coordinate>(value)) - position);
      factors[value] = 0.5f + 0.5f * std::exp(-rate * (1 - order + order * distance));
    }
    const Grid::Coordinate* others = &coordinates_[d * capacity_ + first];
    for (size_t i = 0; i < values.size(); ++i) values[i] *= factors[others[i]];
  }
}

GaussianProcess::GaussianProcess(const Grid& grid, size_t max_pool, size_t max_samples)
    : max_pool_(max_pool),
      max_samples_(max_samples),
      points_(grid, max_pool),
      places_(grid.size(), -1) {
  solved_.reserve(max_pool * max_samples);  // touched by and by: few samples need little of it
}

void GaussianProcess::Reset(Kernel kernel) {
  kernel_ = std::move(kernel);
  for (uint32_t candidate : pool_) places_[candidate] = -1;
  points_.Clear();
  pool_.clear();
  rows_.clear();
  row_of_.clear();
  variance_.clear();
  response_part_.clear();
  ones_part_.clear();
}

std::optional<size_t> GaussianProcess::PlaceInPool(size_t candidate) const {
  if (places_[candidate] < 0) return std::nullopt;
  return static_cast<size_t>(places_[candidate]);
}

void GaussianProcess::AddToPool(std::span<const uint32_t> candidates) {
  const size_t first = pool_.size();
  for (uint32_t candidate : candidates) {
    if (pool_.size() == max_pool_ || places_[candidate] >= 0) continue;
    places_[candidate] = static_cast<int32_t>(pool_.size());
    pool_.push_back(candidate);
    points_.Add(candidate);
  }
  row_of_.resize(pool_.size(), -1);
  variance_.resize(pool_.size(), 1);
  response_part_.resize(pool_.size(), 0);
  ones_part_.resize(pool_.size(), 0);
  for (size_t row = 0; row < rows_.size(); ++row) {
    ExtendRow(row, first);
    const std::span<const float> added = Solved(row).subspan(first);
    Subtract(std::span(response_part_).subspan(first), -rows_[row].response_part, added);
    Subtract(std::span(ones_part_).subspan(first), -rows_[row].ones_part, added);
  }
}

// Computes solved_[row] from place `first` on, and takes what the sample explains off the variance.
void GaussianProcess::ExtendRow(size_t row, size_t first) {
  const std::vector<float>& factor = rows_[row].factor;
  const std::span<float> solved = Solved(row).subspan(first);
  points_.Row(kernel_, pool_[rows_[row].place], first, solved);
  for (size_t j = 0; j < row; ++j) Subtract(solved, factor[j], Solved(j).subspan(first));
  for (size_t i = 0; i < solved.size(); ++i) {
    solved[i] /= factor[row];
    variance_[first + i] -= solved[i] * solved[i];
  }
}

void GaussianProcess::Learn(size_t place, double response) {
  if (row_of_[place] >= 0) {
    const auto row = static_cast<size_t>(row_of_[place]);
    rows_[row].response = response;
    Propagate(row);
    return;
  }
  const size_t row = rows_.size();
  solved_.resize(std::max(solved_.size(), (row + 1) * max_pool_));
  Row& added = rows_.emplace_back(Row{.place = place, .response = response});
  // The sample is in the pool: what the other samples say of it is its row of the factor.
  for (size_t j = 0; j < row; ++j) added.factor.push_back(Solved(j)[place]);
  added.factor.push_back(
      std::sqrt(std::max(variance_[place] + std::exp(kernel_.log_noise), kLeastDiagonal)));
  row_of_[place] = static_cast<int32_t>(row);
  ExtendRow(row, 0);
  Propagate(row);
}

// Solves for the right-hand sides anew from a row on, and corrects the predictions by the
// difference.
void GaussianProcess::Propagate(size_t first_row) {
  for (size_t i = first_row; i < rows_.size(); ++i) {
    Row& row = rows_[i];
    auto response = static_cast<float>(row.response);
    float one = 1;
    for (size_t j = 0; j < i; ++j) {
      response -= row.factor[j] * rows_[j].response_part;
      one -= row.factor[j] * rows_[j].ones_part;
    }
    response /= row.factor[i];
    one /= row.factor[i];
    Subtract(response_part_, row.response_part - response, Solved(i));
    if (one != row.ones_part) Subtract(ones_part_, row.ones_part - one, Solved(i));
    row.response_part = response;
    row.ones_part = one;
  }
}

GaussianProcess::Scale GaussianProcess::ResponseScale() const {
  double mixed = 0;
  double ones = 0;
  for (const Row& row : rows_) {
    mixed += static_cast<double>(row.response_part) * row.ones_part;
    ones += Square(row.ones_part);
  }
  const double mean = mixed / ones;
  double residual = 0;
  for (const Row& row : rows_) residual += Square(row.response_part - mean * row.ones_part);
  // Where all responses are equal nothing scatters; what is divided by it must stay finite.
  const double least = 1e-6 * std::abs(mean) + std::numeric_limits<float>::min();
  const double deviation = std::sqrt(residual / static_cast<double>(rows_.size()));
  return {.mean = static_cast<float>(mean),
          .deviation = static_cast<float>(std::max(deviation, least))};
}

float GaussianProcess::Deviation(const Scale& scale, size_t place) const {
  return scale.deviation * std::sqrt(std::max(variance_[place], kLeastDiagonal));
}

}  // namespace moetune
