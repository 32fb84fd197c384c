// NVRTC as a table of functions: opened from libnvrtc at run time, or a test's own.
#ifndef MOETUNE_RUNTIME_NVRTC_H_
#define MOETUNE_RUNTIME_NVRTC_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/source.h"

namespace moetune {

struct NvrtcResult {
  bool ok = false;
  std::string cubin;  // when ok
  std::string log;    // warnings and ptxas's lines, or the errors
};

struct NvrtcApi {
  int (*version)(int* major, int* minor);
  // Compiles the file `path` of `files`, its includes resolved among `files`, to a cubin.
  NvrtcResult (*compile)(std::string_view path, std::span<const EmbeddedFile> files,
                         const std::vector<std::string>& options);
};

// libnvrtc, opened on the first call: from the loader's path, then where it was at build time.
// FailedPrecondition says what was looked for.
absl::StatusOr<const NvrtcApi*> OpenNvrtc();

std::string NvrtcVersionText(const NvrtcApi& nvrtc);  // "13.0"

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_NVRTC_H_
