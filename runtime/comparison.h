// Comparison: whether two spans of device memory hold the same bits, found out where they lie.
#ifndef MOETUNE_RUNTIME_COMPARISON_H_
#define MOETUNE_RUNTIME_COMPARISON_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/compiler.h"
#include "runtime/device.h"
#include "runtime/probe_kernel.h"

namespace moetune {

// As in kernels/device/compare.cuh.
struct CompareArgs {
  DeviceAddress left = 0;
  DeviceAddress right = 0;
  uint64_t bytes = 0;
  DeviceAddress differ = 0;
};

// kernels/device/compare.cuh.
Source CompareSource();

class Comparison {
 public:
  // Loads into the current context, which is borrowed. `cubin` is of CompareSource.
  static absl::StatusOr<Comparison> Load(const Context& context, const Cubin& cubin);

  // Of spans that begin at multiples of 16. Waits for the stream, and reads one word back.
  absl::StatusOr<bool> Equal(DeviceAddress left, DeviceAddress right, int64_t bytes,
                             CUstream_st* stream) const;

 private:
  Comparison(ProbeKernel kernel, Buffer differ)
      : kernel_(std::move(kernel)), differ_(std::move(differ)) {}

  ProbeKernel kernel_;
  Buffer differ_;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_COMPARISON_H_
