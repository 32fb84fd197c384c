// What a launch on the fake device does to memory: the op by the host reference, spoilt as the
// script says.
#ifndef MOETUNE_TESTS_TESTING_FAKE_LAUNCH_H_
#define MOETUNE_TESTS_TESTING_FAKE_LAUNCH_H_

#include <string>
#include <utility>
#include <vector>

#include "kernels/device/args.h"
#include "kernels/problem.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/fake_script.h"

namespace moetune {

Problem ProblemOfLaunch(const FakeKernel& kernel, const MoeArgs& args);

// The memory that a kernel may touch: address and bytes of each argument that it uses, by name.
struct ArgumentRange {
  std::string name;
  const void* address = nullptr;
  size_t bytes = 0;
};
std::vector<ArgumentRange> ArgumentRanges(const FakeKernel& kernel, const MoeArgs& args);
std::vector<ArgumentRange> CombineArgumentRanges(const FakeKernel& kernel, const MoeArgs& args);

// What is wrong with the row counts and indices, which must be readable; empty when nothing is.
std::string CheckRouting(const FakeKernel& kernel, const MoeArgs& args);

// The launch of moe_kernel; that of moe_combine is HostCombine.
void RunLaunch(const FakeScript& script, const FakeKernel& kernel, const MoeArgs& args);

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FAKE_LAUNCH_H_
