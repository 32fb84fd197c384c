// The second kernel of the fusion combine: y[t] = cast(sum of the token's slots), j ascending, in
// fp32. The first has written each routed slot, rounded, scaled and rounded, to the workspace. A
// slot of weight zero is not read: it may be in no row. Bound by memory: a thread sums 8 columns of
// a token, 16 bytes at a time.
#ifndef MOETUNE_KERNELS_DEVICE_COMBINE_CUH_
#define MOETUNE_KERNELS_DEVICE_COMBINE_CUH_

#include "kernels/device/args.h"
#include "kernels/device/numeric.cuh"
#include "kernels/device/scheduler.cuh"

namespace moetune {

constexpr int kCombineThreads = 128;
constexpr int kCombineColumns = 8;

// CTAs for one thread to each vector of columns, as far as a grid can hold them.
MOE_CONSTEXPR long long CombineCtas(long long tokens, long long n) {
  const long long ctas = CeilDiv(tokens * CeilDiv(n, kCombineColumns), kCombineThreads);
  return ctas < (1 << 30) ? ctas : 1 << 30;
}

#ifdef __CUDACC__

// 8 neighbouring elements of a row as they lie in memory. VECTOR: all are there, and their address
// is a multiple of 16; else the first `count` of them are.
template <typename T, bool VECTOR>
struct Columns {
  static constexpr int kWords = kCombineColumns * sizeof(T) / 4;
  static constexpr int kPerWord = 4 / sizeof(T);
  unsigned words[kWords] = {};

  __device__ __forceinline__ void Load(const T* from, int count) {
    if constexpr (VECTOR) {
#pragma unroll
      for (int i = 0; i < kWords; i += 4) {
        const uint4 vector = reinterpret_cast<const uint4*>(from)[i / 4];
        words[i] = vector.x;
        words[i + 1] = vector.y;
        words[i + 2] = vector.z;
        words[i + 3] = vector.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCombineColumns; ++i) {
        if (i < count) Set(i, from[i]);
      }
    }
  }

  __device__ __forceinline__ void Store(T* to, int count) const {
    if constexpr (VECTOR) {
#pragma unroll
      for (int i = 0; i < kWords; i += 4) {
        reinterpret_cast<uint4*>(to)[i / 4] = {words[i], words[i + 1], words[i + 2], words[i + 3]};
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCombineColumns; ++i) {
        if (i < count) to[i] = At(i);
      }
    }
  }

  __device__ __forceinline__ T At(int i) const {
    if constexpr (sizeof(T) == 4) {
      return FloatFromBits(words[i]);
    } else {
      return {static_cast<unsigned short>(words[i / kPerWord] >> (i % kPerWord * 16))};
    }
  }

  // Of an element that is still zero.
  __device__ __forceinline__ void Set(int i, T value) {
    if constexpr (sizeof(T) == 4) {
      words[i] = FloatBits(value);
    } else {
      words[i / kPerWord] |= static_cast<unsigned>(value.bits) << (i % kPerWord * 16);
    }
  }
};

template <typename Output, typename Weight, bool VECTOR>
__device__ __forceinline__ void CombineColumns(const MoeArgs& args, long long token,
                                               long long column) {
  constexpr int kTogether = 4;  // slots whose loads are under way at once
  const int top_k = static_cast<int>(args.top_k);
  const Output* slots =
      static_cast<const Output*>(args.workspace) + token * top_k * args.n + column;
  const Weight* weights = static_cast<const Weight*>(args.scale) + token * top_k;
  const int count =
      args.n - column < kCombineColumns ? static_cast<int>(args.n - column) : kCombineColumns;
  float sums[kCombineColumns] = {};
  for (int first = 0; first < top_k; first += kTogether) {
    bool read[kTogether];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
      read[j] = first + j < top_k && ToFloat(weights[first + j]) != 0.0f;
    }
    Columns<Output, VECTOR> rows[kTogether];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
      if (read[j]) rows[j].Load(slots + (first + j) * args.n, count);
    }
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
#pragma unroll
      for (int i = 0; i < kCombineColumns; ++i) sums[i] += ToFloat(rows[j].At(i));
    }
  }
  Columns<Output, VECTOR> result;
#pragma unroll
  for (int i = 0; i < kCombineColumns; ++i) result.Set(i, FromFloat<Output>(sums[i]));
  result.Store(static_cast<Output*>(args.y) + token * args.n + column, count);
}

template <typename Output, typename Weight>
__device__ __forceinline__ void CombineTokens(const MoeArgs& args) {
  const long long vectors = CeilDiv(args.n, kCombineColumns);  // of a token
  const auto addresses = reinterpret_cast<unsigned long long>(args.workspace) |
                         reinterpret_cast<unsigned long long>(args.y);
  const bool aligned = args.n % kCombineColumns == 0 && addresses % 16 == 0;
  const long long stride = static_cast<long long>(gridDim.x) * kCombineThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kCombineThreads + threadIdx.x;
       i < args.tokens * vectors; i += stride) {
    const long long token = i / vectors;
    const long long column = i % vectors * kCombineColumns;
    if (aligned) {
      CombineColumns<Output, Weight, true>(args, token, column);
    } else {
      CombineColumns<Output, Weight, false>(args, token, column);
    }
  }
}

#endif  // __CUDACC__

}  // namespace moetune

#if defined(__CUDACC__) && FUSE_COMBINE
extern "C" __global__ void __launch_bounds__(moetune::kCombineThreads)
    moe_combine(const __grid_constant__ moetune::MoeArgs args) {
  using namespace moetune;
  CombineTokens<OUTPUT, WEIGHT>(args);
}
#endif

#endif  // MOETUNE_KERNELS_DEVICE_COMBINE_CUH_
