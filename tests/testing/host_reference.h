// The ops in plain C++ on host memory, and exact roundings: what kernels, fake or real, are
// compared to.
#ifndef MOETUNE_TESTS_TESTING_HOST_REFERENCE_H_
#define MOETUNE_TESTS_TESTING_HOST_REFERENCE_H_

#include <cstdint>
#include <vector>

#include "kernels/device/args.h"
#include "kernels/problem.h"
#include "kernels/source.h"

namespace moetune {

// Round to nearest, ties to even; NaN stays NaN, what is too large becomes infinity.
uint16_t Bf16FromFloat(float value);
float FloatFromBf16(uint16_t bits);
uint16_t Fp16FromFloat(float value);
float FloatFromFp16(uint16_t bits);

// Element `index` of an array of `dtype`, read exactly or rounded when written.
float ReadElement(const void* array, Dtype dtype, int64_t index);
void WriteElement(void* array, Dtype dtype, int64_t index, float value);

// Executes forward as moe_kernel does: fp32 accumulation in ascending k, then the roundings of the
// fused epilogue. Every pointer in `args` is host memory. Only op, dtypes and fusions of `kind`
// count; the sizes are those of `args`. For bf16 and fp16, whose products are exact in fp32, this
// is bit for bit what fused multiply-adds give, up to the exponential of swiglu.
void HostForward(const Shape& kind, const ArgTypes& types, const MoeArgs& args);

// Then executes moe_combine, for the fusion combine.
void HostCombine(const Shape& kind, const ArgTypes& types, const MoeArgs& args);

// Both in double without any rounding, in the layout of y; NaN where a launch writes nothing.
std::vector<double> ExactForward(const Shape& kind, const ArgTypes& types, const MoeArgs& args);

// Whether moe_kernel writes rows to their slots.
inline bool WritesSlots(const Shape& kind) { return kind.Has(kScatter) || kind.Has(kCombine); }

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_HOST_REFERENCE_H_
