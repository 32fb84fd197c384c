#include "tests/testing/host_reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

namespace moetune {
namespace {

int64_t ReadIndex(const void* array, const ArgTypes& types, int64_t i) {
  return types.index64 ? static_cast<const int64_t*>(array)[i]
                       : static_cast<const int32_t*>(array)[i];
}

float ReadScale(const Shape& kind, const ArgTypes& types, const MoeArgs& args, int64_t slot) {
  return ReadElement(args.scale, types.scale_fp32 ? Dtype::kFp32 : kind.dtype, slot);
}

// The rows of one expert, in expert order.
struct ExpertRows {
  int64_t expert;
  int64_t first;
  int64_t count;
};

std::vector<ExpertRows> RowsOfExperts(const ArgTypes& types, const MoeArgs& args) {
  std::vector<ExpertRows> experts;
  int64_t first = 0;
  for (int64_t expert = 0; expert < args.experts; ++expert) {
    const int64_t count = ReadIndex(args.row_counts, types, expert);
    experts.push_back({expert, first, count});
    first += count;
  }
  return experts;
}

// The weights of one expert as (k, n), so that the inner loops below run along n.
template <typename Accumulator>
std::vector<Accumulator> TransposedWeights(const Shape& kind, const MoeArgs& args, int64_t expert) {
  std::vector<Accumulator> weights(static_cast<size_t>(args.n * args.k));
  for (int64_t n = 0; n < args.n; ++n) {
    for (int64_t k = 0; k < args.k; ++k) {
      weights[static_cast<size_t>(k * args.n + n)] =
          ReadElement(args.w, kind.dtype, (expert * args.n + n) * args.k + k);
    }
  }
  return weights;
}

// Calls `finish(row of y, sums along n, scale weight)` for every routed row; the weight is 1 where
// the op has none.
template <typename Accumulator, typename Finish>
void Forward(const Shape& kind, const ArgTypes& types, const MoeArgs& args, const Finish& finish) {
  std::vector<Accumulator> sums(static_cast<size_t>(args.n));
  for (const ExpertRows& rows : RowsOfExperts(types, args)) {
    if (rows.count == 0) continue;
    const std::vector<Accumulator> weights =
        TransposedWeights<Accumulator>(kind, args, rows.expert);
    for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
      const int64_t slot = kind.ReadsIndex() ? ReadIndex(args.row_index, types, row) : row;
      const int64_t source = kind.Has(kGather) ? slot / args.top_k : row;
      const int64_t target = WritesSlots(kind) ? slot : row;
      std::ranges::fill(sums, Accumulator{0});
      for (int64_t k = 0; k < args.k; ++k) {
        const Accumulator x = ReadElement(args.x, kind.dtype, source * args.k + k);
        const Accumulator* column = &weights[static_cast<size_t>(k * args.n)];
        for (size_t n = 0; n < sums.size(); ++n) sums[n] += x * column[n];
      }
      finish(target, sums, kind.ReadsScale() ? ReadScale(kind, types, args, target) : 1.0f);
    }
  }
}

template <typename Float>
Float Swiglu(Float gate, Float up) {
  return gate / (1 + std::exp(-gate)) * up;
}

float Rounded(Dtype dtype, float value) {
  float stored = 0;
  WriteElement(&stored, dtype, 0, value);
  return ReadElement(&stored, dtype, 0);
}

}  // namespace

uint16_t Bf16FromFloat(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  const uint32_t to_even = (bits >> 16) & 1;
  return static_cast<uint16_t>((bits + 0x7fff + to_even) >> 16);
}

float FloatFromBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t Fp16FromFloat(float value) {
  const auto sign = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16 & 0x8000);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
  const double magnitude = std::fabs(double{value});
  if (magnitude >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  // Steps of 2^-24 below the normal range, of 2^(exponent - 10) in it; a carry runs into the
  // exponent.
  int exponent = -14;
  if (magnitude >= 0x1p-14) exponent = std::ilogb(magnitude);
  const double steps = std::nearbyint(std::ldexp(magnitude, 10 - exponent));
  const int biased = (exponent + 14) * 1024 + static_cast<int>(steps);
  return static_cast<uint16_t>(sign | biased);
}

float FloatFromFp16(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  float magnitude = std::numeric_limits<float>::infinity();
  if (exponent == 31 && fraction != 0) magnitude = std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) magnitude = std::ldexp(static_cast<float>(fraction), -24);
  if (exponent > 0 && exponent < 31) {
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

float ReadElement(const void* array, Dtype dtype, int64_t index) {
  switch (dtype) {
    case Dtype::kBf16:
      return FloatFromBf16(static_cast<const uint16_t*>(array)[index]);
    case Dtype::kFp16:
      return FloatFromFp16(static_cast<const uint16_t*>(array)[index]);
    case Dtype::kFp32:
      break;
  }
  return static_cast<const float*>(array)[index];
}

void WriteElement(void* array, Dtype dtype, int64_t index, float value) {
  switch (dtype) {
    case Dtype::kBf16:
      static_cast<uint16_t*>(array)[index] = Bf16FromFloat(value);
      return;
    case Dtype::kFp16:
      static_cast<uint16_t*>(array)[index] = Fp16FromFloat(value);
      return;
    case Dtype::kFp32:
      static_cast<float*>(array)[index] = value;
      return;
  }
}

void HostForward(const Shape& kind, const ArgTypes& types, const MoeArgs& args) {
  void* const target = kind.Has(kCombine) ? args.workspace : args.y;
  Forward<float>(kind, types, args, [&](int64_t row, std::span<const float> sums, float scale) {
    const auto columns = static_cast<int64_t>(kind.Has(kSwiglu) ? sums.size() / 2 : sums.size());
    for (int64_t n = 0; n < columns; ++n) {
      float y = sums[static_cast<size_t>(n)];
      if (kind.Has(kSwiglu)) y = Swiglu(y, sums[static_cast<size_t>(columns + n)]);
      if (kind.ReadsScale()) y = Rounded(kind.output, y) * scale;
      WriteElement(target, kind.output, row * columns + n, y);
    }
    if (!kind.Has(kPreact)) return;
    for (size_t n = 0; n < sums.size(); ++n) {
      WriteElement(args.preact, kind.output, row * args.n + static_cast<int64_t>(n), sums[n]);
    }
  });
}

void HostCombine(const Shape& kind, const ArgTypes& types, const MoeArgs& args) {
  for (int64_t token = 0; token < args.tokens; ++token) {
    for (int64_t n = 0; n < args.n; ++n) {
      float sum = 0;
      for (int64_t slot = token * args.top_k; slot < (token + 1) * args.top_k; ++slot) {
        if (ReadScale(kind, types, args, slot) == 0) continue;
        sum += ReadElement(args.workspace, kind.output, slot * args.n + n);
      }
      WriteElement(args.y, kind.output, token * args.n + n, sum);
    }
  }
}

std::vector<double> ExactForward(const Shape& kind, const ArgTypes& types, const MoeArgs& args) {
  Problem problem = {.shape = kind, .tokens = args.tokens, .rows = args.rows};
  problem.shape.top_k = args.top_k;
  problem.shape.n = args.n;
  const int64_t columns = OutputColumns(problem.shape);
  const double untouched = kind.Has(kCombine) ? 0 : std::numeric_limits<double>::quiet_NaN();
  std::vector<double> y(static_cast<size_t>(OutputRows(problem) * columns), untouched);
  Forward<double>(kind, types, args, [&](int64_t row, std::span<const double> sums, float scale) {
    if (kind.Has(kCombine)) row /= args.top_k;
    for (int64_t n = 0; n < columns; ++n) {
      double value = sums[static_cast<size_t>(n)] * scale;
      if (kind.Has(kSwiglu)) value = Swiglu(value, sums[static_cast<size_t>(columns + n)]);
      double& element = y[static_cast<size_t>(row * columns + n)];
      element = kind.Has(kCombine) ? element + value : value;
    }
  });
  return y;
}

}  // namespace moetune
