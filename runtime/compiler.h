// From a Source to a cubin with its facts.
#ifndef MOETUNE_RUNTIME_COMPILER_H_
#define MOETUNE_RUNTIME_COMPILER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/kernel_facts.h"
#include "kernels/source.h"
#include "runtime/nvrtc.h"

namespace moetune {

struct Cubin {
  std::string image;
  KernelFacts facts;
  std::string sha256;  // of the image

  bool operator==(const Cubin&) const = default;
};

// Every option that a compile for `arch` passes, those of the source last.
std::vector<std::string> CompilerOptions(const Source& source, std::string_view arch);

// Compiles for `arch` ("sm_90a"). InvalidArgument carries the compiler's log when it refuses.
absl::StatusOr<Cubin> Compile(const NvrtcApi& nvrtc, const Source& source, std::string_view arch);

// The facts in the log that NVRTC writes under --ptxas-options=-v.
KernelFacts ParseCompilerLog(std::string_view log);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_COMPILER_H_
