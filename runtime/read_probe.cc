#include "runtime/read_probe.h"

#include <utility>

#include "kernels/status_macros.h"

namespace moetune {
namespace {

// As in kernels/device/read_probe.cuh.
struct ReadProbeArgs {
  DeviceAddress data;
  unsigned long long count;
  DeviceAddress never;
};

constexpr int kThreads = 512;
constexpr int kCtasPerSm = 2;

}  // namespace

Source ReadProbeSource() { return PlainSource("kernels/device/read_probe.cuh"); }

absl::StatusOr<ReadProbe> ReadProbe::Load(const Context& context, const NvrtcApi& nvrtc) {
  ASSIGN_OR_RETURN(const Cubin cubin, Compile(nvrtc, ReadProbeSource(),
                                              ArchName(context.device().compute_capability)));
  ASSIGN_OR_RETURN(ProbeKernel kernel, ProbeKernel::Load(context, cubin, "read probe"));
  return ReadProbe(std::move(kernel));
}

absl::Status ReadProbe::Launch(const Buffer& buffer, int64_t bytes, CUstream_st* stream) const {
  const ReadProbeArgs args = {.data = buffer.address(),
                              .count = static_cast<unsigned long long>(bytes / 16),
                              .never = buffer.address()};
  const int64_t ctas = kernel_.context().device().sm_count * kCtasPerSm;
  return kernel_.Launch({.grid = {ctas, 1, 1}, .threads = kThreads}, &args, stream);
}

}  // namespace moetune
