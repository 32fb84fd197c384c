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

Source ReadProbeSource() {
  return {.path = "kernels/device/read_probe.cuh", .options = {}, .fingerprint = {}};
}

absl::StatusOr<ReadProbe> ReadProbe::Load(const Context& context, const NvrtcApi& nvrtc) {
  const DriverApi& driver = context.driver();
  ASSIGN_OR_RETURN(const Cubin cubin, Compile(nvrtc, ReadProbeSource(),
                                              ArchName(context.device().compute_capability)));
  ReadProbe probe(context);
  RETURN_IF_ERROR(DriverStatus(driver, driver.module_load(&probe.module_, cubin.image.data()),
                               "cannot load the read probe"));
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.module_function(&probe.function_, probe.module_, "moe_kernel"),
                   "cannot find the entry of the read probe"));
  return probe;
}

ReadProbe::~ReadProbe() {
  if (module_ != nullptr) context_->driver().module_unload(module_);
}

ReadProbe::ReadProbe(ReadProbe&& other) noexcept
    : context_(other.context_),
      module_(std::exchange(other.module_, nullptr)),
      function_(other.function_) {}

absl::Status ReadProbe::Launch(const Buffer& buffer, int64_t bytes, CUstream_st* stream) const {
  const ReadProbeArgs args = {.data = buffer.address(),
                              .count = static_cast<unsigned long long>(bytes / 16),
                              .never = buffer.address()};
  const Plan plan = {.grid = {context_->device().sm_count * kCtasPerSm, 1, 1}, .threads = kThreads};
  return DriverStatus(context_->driver(), context_->driver().launch(function_, plan, &args, stream),
                      "cannot launch the read probe");
}

}  // namespace moetune
