#include "runtime/probe_kernel.h"

#include <utility>

#include "kernels/status_macros.h"

namespace moetune {

ProbeKernel::ProbeKernel(const Context& context, std::string name)
    : context_(&context), name_(std::move(name)) {}

absl::StatusOr<ProbeKernel> ProbeKernel::Load(const Context& context, const Cubin& cubin,
                                              std::string name) {
  const DriverApi& driver = context.driver();
  ProbeKernel kernel(context, std::move(name));
  RETURN_IF_ERROR(DriverStatus(driver, driver.module_load(&kernel.module_, cubin.image.data()),
                               "cannot load the " + kernel.name_));
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.module_function(&kernel.function_, kernel.module_, "moe_kernel"),
                   "cannot find the entry of the " + kernel.name_));
  return kernel;
}

ProbeKernel::~ProbeKernel() {
  if (module_ != nullptr) context_->driver().module_unload(module_);
}

ProbeKernel::ProbeKernel(ProbeKernel&& other) noexcept
    : context_(other.context_),
      name_(std::move(other.name_)),
      module_(std::exchange(other.module_, nullptr)),
      function_(other.function_) {}

absl::Status ProbeKernel::Launch(const Plan& plan, const void* args, CUstream_st* stream) const {
  const DriverApi& driver = context_->driver();
  return DriverStatus(driver, driver.launch(function_, plan, args, stream),
                      "cannot launch the " + name_);
}

}  // namespace moetune
