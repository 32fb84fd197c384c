// KernelFacts: what the compiler and the driver say of one compiled kernel.
#ifndef MOETUNE_KERNELS_KERNEL_FACTS_H_
#define MOETUNE_KERNELS_KERNEL_FACTS_H_

#include <cstdint>

namespace moetune {

struct KernelFacts {
  int registers = 0;  // per thread
  int64_t static_shared_bytes = 0;
  int64_t stack_bytes = 0;
  int64_t spill_bytes = 0;        // stores plus loads
  bool wgmma_serialised = false;  // a C75xx advisory stood in the log
  int resident_ctas = 0;          // per SM, as launched; 0 until it is known

  bool operator==(const KernelFacts&) const = default;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_KERNEL_FACTS_H_
