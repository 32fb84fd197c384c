// The storage types of activations and weights, and their conversions to and from fp32, each
// rounding to nearest even. No CUDA header: NVRTC compiles this text alone, and g++ compiles it for
// the tests.
#ifndef MOETUNE_KERNELS_DEVICE_NUMERIC_CUH_
#define MOETUNE_KERNELS_DEVICE_NUMERIC_CUH_

#ifdef __CUDACC__
#define MOE_DEVICE __device__ __forceinline__
#else
#define MOE_DEVICE inline
#endif
#ifndef __CUDA_ARCH__
#include <bit>
#include <cmath>
#endif

namespace moetune {

struct bf16 {
  unsigned short bits;
};
struct fp16 {
  unsigned short bits;
};
using fp32 = float;

#ifdef __CUDA_ARCH__
MOE_DEVICE unsigned FloatBits(float value) { return __float_as_uint(value); }
MOE_DEVICE float FloatFromBits(unsigned bits) { return __uint_as_float(bits); }
#else
MOE_DEVICE unsigned FloatBits(float value) { return std::bit_cast<unsigned>(value); }
MOE_DEVICE float FloatFromBits(unsigned bits) { return std::bit_cast<float>(bits); }
#endif

MOE_DEVICE float ToFloat(bf16 value) { return FloatFromBits(unsigned{value.bits} << 16); }
MOE_DEVICE float ToFloat(float value) { return value; }
MOE_DEVICE float ToFloat(fp16 value) {
#ifdef __CUDA_ARCH__
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#else
  return static_cast<float>(std::bit_cast<_Float16>(value.bits));
#endif
}

template <typename T>
MOE_DEVICE T FromFloat(float value);

template <>
MOE_DEVICE float FromFloat<float>(float value) {
  return value;
}

// Integer arithmetic, since sm_75 has no conversion to bf16; a NaN keeps its sign and stays quiet.
template <>
MOE_DEVICE bf16 FromFloat<bf16>(float value) {
  const unsigned bits = FloatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return {static_cast<unsigned short>((bits >> 16) | 0x40u)};
  }
  return {static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

template <>
MOE_DEVICE fp16 FromFloat<fp16>(float value) {
  fp16 result;
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#else
  result.bits = std::bit_cast<unsigned short>(static_cast<_Float16>(value));
#endif
  return result;
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_NUMERIC_CUH_
