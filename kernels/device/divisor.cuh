// Division by a number that is known before the launch: a product and a shift in place of a dozen
// instructions (Granlund and Montgomery, "Division by Invariant Integers using Multiplication",
// 1994).
#ifndef MOETUNE_KERNELS_DEVICE_DIVISOR_CUH_
#define MOETUNE_KERNELS_DEVICE_DIVISOR_CUH_

#include "kernels/device/args.h"
#include "kernels/device/scheduler.cuh"

namespace moetune {

// Numbers to be divided are below this, as slots are (ValidateProblem).
constexpr unsigned kMostDivided = 1u << 30;

// For a divisor from 1 to kMostDivided. With 2^shift the first power of two that is not less, the
// multiplier is above 2^(30 + shift) / divisor by at most 1, so that a quotient is too large by
// less than 1 / divisor before it is rounded down.
MOE_CONSTEXPR Divisor MakeDivisor(unsigned divisor) {
  int shift = 0;
  while (divisor > 1u << shift) ++shift;
  const unsigned long long power = 1ull << (30 + shift);
  return {static_cast<unsigned>(power / divisor + 1), shift};
}

MOE_CONSTEXPR unsigned Divide(unsigned number, const Divisor& by) {
  return static_cast<unsigned>(static_cast<unsigned long long>(4 * number) * by.multiplier >> 32) >>
         by.shift;
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_DIVISOR_CUH_
