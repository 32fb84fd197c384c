#include "tuner/element.h"

#include <cstring>

#include "kernels/device/numeric.cuh"

namespace moetune {
namespace {

template <typename T>
void Load(const uint8_t* bytes, int64_t first, std::span<float> values) {
  const uint8_t* at = bytes + first * static_cast<int64_t>(sizeof(T));
  for (float& value : values) {
    T element;
    std::memcpy(&element, at, sizeof(T));
    value = ToFloat(element);
    at += sizeof(T);
  }
}

template <typename T>
void Store(uint8_t* bytes, int64_t index, float value) {
  const T element = FromFloat<T>(value);
  std::memcpy(bytes + index * static_cast<int64_t>(sizeof(T)), &element, sizeof(T));
}

}  // namespace

float LoadElement(Dtype dtype, const uint8_t* bytes, int64_t index) {
  float value = 0;
  LoadElements(dtype, bytes, index, {&value, 1});
  return value;
}

void StoreElement(Dtype dtype, uint8_t* bytes, int64_t index, float value) {
  switch (dtype) {
    case Dtype::kBf16:
      return Store<bf16>(bytes, index, value);
    case Dtype::kFp16:
      return Store<fp16>(bytes, index, value);
    case Dtype::kFp32:
      return Store<fp32>(bytes, index, value);
  }
}

void LoadElements(Dtype dtype, const uint8_t* bytes, int64_t first, std::span<float> values) {
  switch (dtype) {
    case Dtype::kBf16:
      return Load<bf16>(bytes, first, values);
    case Dtype::kFp16:
      return Load<fp16>(bytes, first, values);
    case Dtype::kFp32:
      return Load<fp32>(bytes, first, values);
  }
}

}  // namespace moetune
