// Stands in for driver.cc and nvrtc.cc in a build without the CUDA headers.
#include "runtime/driver.h"
#include "runtime/nvrtc.h"

namespace moetune {
namespace {

absl::Status BuiltWithout() {
  return absl::FailedPreconditionError(
      "this moetune was built without CUDA headers: it cannot compile or launch kernels");
}

}  // namespace

absl::StatusOr<const DriverApi*> OpenDriver() { return BuiltWithout(); }

absl::StatusOr<const NvrtcApi*> OpenNvrtc() { return BuiltWithout(); }

}  // namespace moetune
