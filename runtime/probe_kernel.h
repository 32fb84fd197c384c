// ProbeKernel: a kernel of no family, that measures the device or looks at its memory: its module
// and its entry.
#ifndef MOETUNE_RUNTIME_PROBE_KERNEL_H_
#define MOETUNE_RUNTIME_PROBE_KERNEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "kernels/family.h"
#include "runtime/compiler.h"
#include "runtime/device.h"

namespace moetune {

class ProbeKernel {
 public:
  // Loads into the current context, which is borrowed. `name` is what errors call it: "read probe".
  static absl::StatusOr<ProbeKernel> Load(const Context& context, const Cubin& cubin,
                                          std::string name);
  ~ProbeKernel();
  ProbeKernel(ProbeKernel&& other) noexcept;
  ProbeKernel& operator=(ProbeKernel&& other) = delete;

  const Context& context() const { return *context_; }
  const std::string& name() const { return name_; }

  // Enqueues it with `args`, the struct that its text declares.
  absl::Status Launch(const Plan& plan, const void* args, CUstream_st* stream) const;

 private:
  ProbeKernel(const Context& context, std::string name);

  const Context* context_;
  std::string name_;
  CUmod_st* module_ = nullptr;
  CUfunc_st* function_ = nullptr;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_PROBE_KERNEL_H_
