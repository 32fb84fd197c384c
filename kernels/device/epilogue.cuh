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

// silu(gate) * up, silu(g) = g / (1 + exp(-g)), in fp32. The device's approximate exponential and
// quotient are off by about 2^-20, far less than the rounding that follows.
MOE_DEVICE float Swiglu(float gate, float up) {
#ifdef __CUDA_ARCH__
  const float silu = __fdividef(gate, 1.0f + __expf(-gate));
#else
  const float silu = gate / (1.0f + std::exp(-gate));
#endif
  return silu * up;
}

// cast(silu(gate) * up): one rounding to the output.
template <typename Output>
MOE_DEVICE Output FinishSwiglu(float gate, float up) {
  return FromFloat<Output>(Swiglu(gate, up));
}

#ifdef __CUDACC__

// Two values rounded to 16 bits each as one register, the first in the lower half.
#ifdef __CUDA_ARCH__
template <typename Output>
__device__ __forceinline__ unsigned Pack(float low, float high);
template <>
__device__ __forceinline__ unsigned Pack<bf16>(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
template <>
__device__ __forceinline__ unsigned Pack<fp16>(float low, float high) {
  unsigned packed;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
#else
template <typename Output>
unsigned Pack(float low, float high) {
  return FromFloat<Output>(low).bits | unsigned{FromFloat<Output>(high).bits} << 16;
}
#endif

// cast(value * weight) of both halves.
template <typename Output>
__device__ __forceinline__ unsigned ScalePair(unsigned packed, float low, float high) {
  const Output first = {static_cast<unsigned short>(packed)};
  const Output second = {static_cast<unsigned short>(packed >> 16)};
  return Pack<Output>(ToFloat(first) * low, ToFloat(second) * high);
}

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
