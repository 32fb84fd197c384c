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

// 8 neighbouring elements of a row. VECTOR: all are there, and their address is a multiple of 16;
// else the first `count` of them are.
template <typename T, bool VECTOR>
struct Columns {
  T values[kCombineColumns];

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int i = 0; i < kCombineColumns; ++i) values[i] = FromFloat<T>(0.0f);
  }

  __device__ __forceinline__ void Load(const T* from, int count) {
    if constexpr (VECTOR) {
#pragma unroll
      for (int i = 0; i < kCombineColumns; i += 16 / sizeof(T)) {
        const uint4 words = *reinterpret_cast<const uint4*>(from + i);
        memcpy(values + i, &words, 16);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCombineColumns; ++i) {
        if (i < count) values[i] = from[i];
      }
    }
  }

  __device__ __forceinline__ void Store(T* to, int count) const {
    if constexpr (VECTOR) {
#pragma unroll
      for (int i = 0; i < kCombineColumns; i += 16 / sizeof(T)) {
        uint4 words;
        memcpy(&words, values + i, 16);
        *reinterpret_cast<uint4*>(to + i) = words;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCombineColumns; ++i) {
        if (i < count) to[i] = values[i];
      }
    }
  }
};

template <typename Output, typename Weight, bool VECTOR>
__device__ __forceinline__ void CombineColumns(const MoeArgs& args, long long token,
                                               long long column) {
  constexpr int kTogether = 4;  // slots that are read at once
  const int top_k = static_cast<int>(args.top_k);
  const Output* slots =
      static_cast<const Output*>(args.workspace) + token * top_k * args.n + column;
  const Weight* weights = static_cast<const Weight*>(args.scale) + token * top_k;
  const int count =
      args.n - column < kCombineColumns ? static_cast<int>(args.n - column) : kCombineColumns;
  float sums[kCombineColumns] = {};
  for (int first = 0; first < top_k; first += kTogether) {
    Columns<Output, VECTOR> rows[kTogether];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
      rows[j].Clear();
      const int slot = first + j;
      if (slot < top_k && ToFloat(weights[slot]) != 0.0f) {
        rows[j].Load(slots + slot * args.n, count);
      }
    }
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
#pragma unroll
      for (int i = 0; i < kCombineColumns; ++i) sums[i] += ToFloat(rows[j].values[i]);
    }
  }
  Columns<Output, VECTOR> result;
#pragma unroll
  for (int i = 0; i < kCombineColumns; ++i) result.values[i] = FromFloat<Output>(sums[i]);
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
