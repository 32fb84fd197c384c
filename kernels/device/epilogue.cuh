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

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_EPILOGUE_CUH_
