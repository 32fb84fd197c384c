// One config of a family's device text, compiled for the emulator.
#ifndef MOETUNE_TESTS_KERNELS_FAMILIES_EMULATED_CASE_H_
#define MOETUNE_TESTS_KERNELS_FAMILIES_EMULATED_CASE_H_

#include <string>
#include <string_view>
#include <vector>

#include "kernels/config.h"
#include "kernels/device/args.h"
#include "kernels/device/combine.cuh"
#include "kernels/family.h"
#include "kernels/problem.h"
#include "kernels/source.h"
#include "tests/testing/cuda_emulator.h"

namespace moetune {

struct EmulatedCase {
  std::string name;
  Shape shape;  // dtypes and fusions alone
  ArgTypes types;
  Config config;
  std::vector<std::string> options;  // what it was compiled with
  void (*kernel)(const MoeArgs& args, const LaunchArgs& launch);
  void (*combine)(const MoeArgs& args) = nullptr;
};

// What the definitions FUSE_* say together.
inline Fusions FusionsDefined(bool gather, bool scatter, bool scale, bool swiglu, bool preact,
                              bool combine) {
  if (combine) return kCombine;  // it is compiled with scatter and scale
  return (gather ? kGather : 0u) | (scatter ? kScatter : 0u) | (scale ? kScale : 0u) |
         (swiglu ? kSwiglu : 0u) | (preact ? kPreact : 0u);
}

// Runs the launches of `plan` one after the other.
inline absl::Status RunCase(const EmulatedCase& test, const Plan& plan, const MoeArgs& args,
                            cuda_emulator::ThreadOrder order) {
  absl::Status status = cuda_emulator::Launch(
      plan, [&] { test.kernel(args, plan.launch); }, order);
  if (!status.ok() || plan.combine_ctas == 0) return status;
  return cuda_emulator::Launch(
      {.grid = {plan.combine_ctas, 1, 1}, .threads = kCombineThreads}, [&] { test.combine(args); },
      order);
}

inline Dtype DtypeNamed(std::string_view name) {
  return name == "bf16" ? Dtype::kBf16 : name == "fp16" ? Dtype::kFp16 : Dtype::kFp32;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_KERNELS_FAMILIES_EMULATED_CASE_H_
