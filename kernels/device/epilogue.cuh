// From an accumulator to the stored output: the roundings that every family shares.
#ifndef MOETUNE_KERNELS_DEVICE_EPILOGUE_CUH_
#define MOETUNE_KERNELS_DEVICE_EPILOGUE_CUH_

#include "kernels/device/numeric.cuh"

namespace moetune {

// cast(acc), or with the fusion scale cast(cast(acc) * weight): two roundings, the first being that
// of the unfused product.
template <typename Output>
MOE_DEVICE Output Finish(float accumulator) {
  return FromFloat<Output>(accumulator);
}

template <typename Output, typename Weight>
MOE_DEVICE Output FinishScaled(float accumulator, Weight weight) {
  return FromFloat<Output>(ToFloat(FromFloat<Output>(accumulator)) * ToFloat(weight));
}

// cast(silu(gate) * up), silu(g) = g / (1 + exp(-g)): one rounding to the output. The device's
// approximate exponential and quotient are off by about 2^-20, far less than that rounding.
template <typename Output>
MOE_DEVICE Output FinishSwiglu(float gate, float up) {
#ifdef __CUDA_ARCH__
  const float silu = __fdividef(gate, 1.0f + __expf(-gate));
#else
  const float silu = gate / (1.0f + std::exp(-gate));
#endif
  return FromFloat<Output>(silu * up);
}

#ifdef __CUDACC__

// Lane t of each four neighbours gets block t of `blocks`, whole: its own row of 8 columns, 16
// bytes.
__device__ __forceinline__ void TransposeQuad(unsigned (&blocks)[4]) {
  const int lane = threadIdx.x;
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if ((j & bit) != 0) continue;
      const bool upper = (lane & bit) != 0;
      const unsigned received =
          __shfl_xor_sync(0xffffffffu, upper ? blocks[j] : blocks[j + bit], bit);
      (upper ? blocks[j] : blocks[j + bit]) = received;
    }
  }
}

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_EPILOGUE_CUH_
