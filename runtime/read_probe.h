// ReadProbe: a kernel beside those of the families. It reads a buffer, for the read rate of a
// device and the cost of a launch.
#ifndef MOETUNE_RUNTIME_READ_PROBE_H_
#define MOETUNE_RUNTIME_READ_PROBE_H_

#include <utility>

#include "absl/status/statusor.h"
#include "runtime/compiler.h"
#include "runtime/device.h"
#include "runtime/probe_kernel.h"

namespace moetune {

// kernels/device/read_probe.cuh.
Source ReadProbeSource();

class ReadProbe {
 public:
  // Compiles it and loads it into the current context, which is borrowed.
  static absl::StatusOr<ReadProbe> Load(const Context& context, const NvrtcApi& nvrtc);

  // Enqueues a read of the first `bytes` of the buffer, a multiple of 16; 0: an empty kernel.
  absl::Status Launch(const Buffer& buffer, int64_t bytes, CUstream_st* stream) const;

 private:
  explicit ReadProbe(ProbeKernel kernel) : kernel_(std::move(kernel)) {}

  ProbeKernel kernel_;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_READ_PROBE_H_
