// FakeNvrtc: an NvrtcApi whose cubins are text: what was compiled, with which options. The fake
// driver reads from it which candidate a kernel is.
#ifndef MOETUNE_TESTS_TESTING_FAKE_NVRTC_H_
#define MOETUNE_TESTS_TESTING_FAKE_NVRTC_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "kernels/family.h"
#include "kernels/source.h"
#include "runtime/nvrtc.h"
#include "tests/testing/fake_script.h"

namespace moetune {

// The table's functions have no state of their own: one FakeNvrtc at a time. Thread-safe.
class FakeNvrtc {
 public:
  explicit FakeNvrtc(FakeScript script = {});
  ~FakeNvrtc();
  FakeNvrtc(const FakeNvrtc&) = delete;
  FakeNvrtc& operator=(const FakeNvrtc&) = delete;

  const NvrtcApi& api() const;
  int compiles() const;  // so far, refused ones included
};

// What a fake cubin holds.
struct FakeKernel {
  Candidate candidate;
  Shape kind;  // op, dtypes and fusions; no sizes
  ArgTypes types;
  std::string arch;
  std::string probe;  // the file that it is of, when it is no candidate's

  bool operator==(const FakeKernel&) const = default;
};

absl::StatusOr<FakeKernel> ReadFakeCubin(std::string_view image);

constexpr int kFakeRegisters = 64;
constexpr int64_t kFakeStaticSharedBytes = 128;

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FAKE_NVRTC_H_
