// Elements of tensors on the host: bf16, fp16 and fp32 to and from float, rounded to nearest even.
#ifndef MOETUNE_TUNER_ELEMENT_H_
#define MOETUNE_TUNER_ELEMENT_H_

#include <cstdint>
#include <span>

#include "kernels/problem.h"

namespace moetune {

// Element `index` of an array of `dtype` that starts at `bytes`.
float LoadElement(Dtype dtype, const uint8_t* bytes, int64_t index);
void StoreElement(Dtype dtype, uint8_t* bytes, int64_t index, float value);

// values.size() elements, from `first` on.
void LoadElements(Dtype dtype, const uint8_t* bytes, int64_t first, std::span<float> values);

}  // namespace moetune

#endif  // MOETUNE_TUNER_ELEMENT_H_
