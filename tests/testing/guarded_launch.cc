#include "tests/testing/guarded_launch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "tests/testing/host_reference.h"

namespace moetune {
namespace {

constexpr unsigned char kNan = 0xff;      // a NaN in every dtype
constexpr unsigned char kFarAway = 0x7f;  // an index that leads out of mapped memory
constexpr unsigned char kPoison = 0x5a;

float RandomValue(std::mt19937& random) {
  const float fraction = std::uniform_real_distribution<float>(-1, 1)(random);
  return std::ldexp(fraction, std::uniform_int_distribution<int>(-6, 6)(random));
}

}  // namespace

int64_t Layout::RoutedRows() const {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

Layout RandomLayout(std::mt19937& random) {
  const auto uniform = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const int64_t experts = uniform(1, 40);
  Layout layout;
  layout.counts.resize(static_cast<size_t>(experts));
  layout.top_k = uniform(1, std::min<int64_t>(4, experts));
  for (int filled = static_cast<int>(uniform(1, 4)); filled > 0; --filled) {
    layout.counts[static_cast<size_t>(uniform(0, experts - 1))] = filled == 1 ? 1 : uniform(1, 40);
  }
  layout.rows = layout.RoutedRows() + uniform(0, 1) * uniform(1, 20);
  layout.tokens = (layout.rows + layout.top_k - 1) / layout.top_k + uniform(0, 1) * uniform(1, 30);
  layout.n = uniform(1, 100);
  layout.k = uniform(1, 70);
  return layout;
}

Problem ProblemFor(const Shape& kind, const Layout& layout) {
  Problem problem{.shape = kind, .tokens = layout.tokens, .rows = layout.rows};
  problem.shape.experts = static_cast<int64_t>(layout.counts.size());
  problem.shape.top_k = layout.top_k;
  problem.shape.n = layout.n + (kind.Has(kSwiglu) ? layout.n % 2 : 0);
  problem.shape.k = layout.k;
  return problem;
}

GuardedBytes::GuardedBytes(int64_t size, unsigned char fill)
    : bytes_(static_cast<size_t>(size) + 2 * kGuard, fill) {}

FencedBytes::FencedBytes(int64_t size, unsigned char fill) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto bytes = static_cast<size_t>(size);
  const size_t usable = (bytes + page - 1) / page * page;
  mapped_bytes_ = usable + page;
  mapping_ =
      mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) std::abort();
  auto* begin = static_cast<unsigned char*>(mapping_);
  if (mprotect(begin + usable, page, PROT_NONE) != 0) std::abort();
  std::memset(begin, fill, usable);
  data_ = begin + usable - bytes;
}

FencedBytes::~FencedBytes() { munmap(mapping_, mapped_bytes_); }

GuardedLaunch::GuardedLaunch(const Shape& kind, const ArgTypes& types, const Layout& layout,
                             uint32_t seed)
    : problem_(ProblemFor(kind, layout)),
      shape_(problem_.shape),
      types_(types),
      layout_(layout),
      x_(std::max(layout.tokens, layout.rows) * layout.k * DtypeBytes(kind.dtype), kNan),
      w_(shape_.experts * shape_.n * layout.k * DtypeBytes(kind.dtype), kNan),
      row_counts_(shape_.experts * (types.index64 ? 8 : 4), kFarAway),
      row_index_(layout.rows * (types.index64 ? 8 : 4), kFarAway),
      scale_(layout.tokens * layout.top_k * DtypeBytes(ScaleDtype()), kNan),
      workspace_(WorkspaceBytes(problem_), kNan),
      slot_of_row_(static_cast<size_t>(layout.tokens * layout.top_k)),
      random_(seed) {
  std::iota(slot_of_row_.begin(), slot_of_row_.end(), int64_t{0});
  std::ranges::shuffle(slot_of_row_, random_);
  slot_of_row_.resize(static_cast<size_t>(layout.RoutedRows()));
  if (shape_.Has(kCombine)) {
    for (int64_t slot = 0; slot < layout.tokens * layout.top_k; ++slot) {
      WriteElement(scale_.data(), ScaleDtype(), slot, 0);
    }
  }
  int64_t row = 0;
  for (int64_t expert = 0; expert < shape_.experts; ++expert) {
    const int64_t count = layout.counts[static_cast<size_t>(expert)];
    SetIndex(row_counts_, expert, count);
    if (count > 0) FillWeights(expert);
    for (const int64_t end = row + count; row < end; ++row) FillRow(row);
  }
}

void GuardedLaunch::FillRow(int64_t row) {
  const int64_t slot = slot_of_row_[static_cast<size_t>(row)];
  SetIndex(row_index_, row, slot);
  WriteElement(scale_.data(), ScaleDtype(), slot, RandomValue(random_));
  for (int64_t k = 0; k < layout_.k; ++k) SetX(row, k, RandomValue(random_));
}

void GuardedLaunch::FillWeights(int64_t expert) {
  for (int64_t n = 0; n < shape_.n; ++n) {
    for (int64_t k = 0; k < layout_.k; ++k) SetW(expert, n, k, RandomValue(random_));
  }
}

void GuardedLaunch::SetIndex(FencedBytes& array, int64_t i, int64_t value) const {
  if (types_.index64) {
    static_cast<int64_t*>(array.data())[i] = value;
  } else {
    static_cast<int32_t*>(array.data())[i] = static_cast<int32_t>(value);
  }
}

void GuardedLaunch::SetX(int64_t row, int64_t k, float value) {
  WriteElement(x_.data(), shape_.dtype, SourceRow(row) * layout_.k + k, value);
}

void GuardedLaunch::SetW(int64_t expert, int64_t n, int64_t k, float value) {
  WriteElement(w_.data(), shape_.dtype, (expert * shape_.n + n) * layout_.k + k, value);
}

float GuardedLaunch::Y(const GuardedBytes& y, int64_t row, int64_t n) const {
  return ReadElement(y.data(), shape_.output, TargetRow(row) * OutputColumns(shape_) + n);
}

int64_t GuardedLaunch::SourceRow(int64_t row) const {
  return shape_.Has(kGather) ? slot_of_row_[static_cast<size_t>(row)] / layout_.top_k : row;
}

int64_t GuardedLaunch::TargetRow(int64_t row) const {
  const int64_t slot = slot_of_row_[static_cast<size_t>(row)];
  if (shape_.Has(kCombine)) return slot / layout_.top_k;
  return shape_.Has(kScatter) ? slot : row;
}

int64_t GuardedLaunch::YBytes() const {
  return OutputRows(problem_) * OutputColumns(shape_) * DtypeBytes(shape_.output);
}

Dtype GuardedLaunch::ScaleDtype() const { return types_.scale_fp32 ? Dtype::kFp32 : shape_.dtype; }

std::vector<float> GuardedLaunch::Row(const FencedBytes& array, int64_t row) const {
  std::vector<float> values;
  for (int64_t k = 0; k < layout_.k; ++k) {
    values.push_back(ReadElement(array.data(), shape_.dtype, row * layout_.k + k));
  }
  return values;
}

GuardedBytes GuardedLaunch::PoisonedOutput() const {
  const int64_t preact = shape_.Has(kPreact) ? layout_.rows * shape_.n : 0;
  return GuardedBytes(YBytes() + preact * DtypeBytes(shape_.output), kPoison);
}

MoeArgs GuardedLaunch::Args(GuardedBytes& y) {
  return {.x = x_.data(),
          .w = w_.data(),
          .y = y.data(),
          .row_counts = row_counts_.data(),
          .row_index = row_index_.data(),
          .scale = scale_.data(),
          .preact = static_cast<char*>(y.data()) + YBytes(),
          .workspace = workspace_.data(),
          .tokens = layout_.tokens,
          .rows = layout_.rows,
          .experts = shape_.experts,
          .top_k = layout_.top_k,
          .n = shape_.n,
          .k = layout_.k};
}

// The roundings of a routed row. With combine they end in `slots`.
void GuardedLaunch::Finish(int64_t row, const std::vector<float>& sums, GuardedBytes& y,
                           std::vector<float>& slots) const {
  const int64_t columns = OutputColumns(shape_);
  const int64_t slot = slot_of_row_[static_cast<size_t>(row)];
  const auto rounded = [&](float value) {
    char element[4];
    WriteElement(element, shape_.output, 0, value);
    return ReadElement(element, shape_.output, 0);
  };
  for (int64_t n = 0; n < columns; ++n) {
    float value = sums[static_cast<size_t>(n)];
    if (shape_.Has(kSwiglu)) {
      value = value / (1 + std::exp(-value)) * sums[static_cast<size_t>(columns + n)];
    }
    if (shape_.ReadsScale()) {
      value = rounded(value) * ReadElement(scale_.data(), ScaleDtype(), slot);
    }
    if (shape_.Has(kCombine)) {
      slots[static_cast<size_t>(slot * columns + n)] = rounded(value);
    } else {
      WriteElement(y.data(), shape_.output, TargetRow(row) * columns + n, value);
    }
  }
  if (!shape_.Has(kPreact)) return;
  void* const preact = static_cast<char*>(y.data()) + YBytes();
  for (int64_t n = 0; n < shape_.n; ++n) {
    WriteElement(preact, shape_.output, row * shape_.n + n, sums[static_cast<size_t>(n)]);
  }
}

GuardedBytes GuardedLaunch::Expected() const {
  GuardedBytes y = PoisonedOutput();
  std::vector<float> slots(static_cast<size_t>(layout_.tokens * layout_.top_k * shape_.n));
  std::vector<float> sums(static_cast<size_t>(shape_.n));
  int64_t row = 0;
  for (int64_t expert = 0; expert < shape_.experts; ++expert) {
    const int64_t end = row + layout_.counts[static_cast<size_t>(expert)];
    for (; row < end; ++row) {
      const std::vector<float> x = Row(x_, SourceRow(row));
      for (int64_t n = 0; n < shape_.n; ++n) {
        const std::vector<float> w = Row(w_, expert * shape_.n + n);
        float& sum = sums[static_cast<size_t>(n)];
        sum = 0;
        for (size_t k = 0; k < x.size(); ++k) sum = std::fma(x[k], w[k], sum);
      }
      Finish(row, sums, y, slots);
    }
  }
  if (!shape_.Has(kCombine)) return y;
  for (int64_t token = 0; token < layout_.tokens; ++token) {
    for (int64_t n = 0; n < shape_.n; ++n) {
      float sum = 0;
      for (int64_t j = 0; j < layout_.top_k; ++j) {
        sum += slots[static_cast<size_t>((token * layout_.top_k + j) * shape_.n + n)];
      }
      WriteElement(y.data(), shape_.output, token * shape_.n + n, sum);
    }
  }
  return y;
}

}  // namespace moetune
