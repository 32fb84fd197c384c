// One config of a family's device text, compiled for the emulator.
#ifndef MOETUNE_TESTS_KERNELS_FAMILIES_EMULATED_CASE_H_
#define MOETUNE_TESTS_KERNELS_FAMILIES_EMULATED_CASE_H_

#include <string>
#include <string_view>
#include <vector>

#include "kernels/config.h"
#include "kernels/device/args.h"
#include "kernels/problem.h"
#include "kernels/source.h"

namespace moetune {

struct EmulatedCase {
  std::string name;
  Shape shape;  // dtypes and fusions alone
  ArgTypes types;
  Config config;
  std::vector<std::string> options;  // what it was compiled with
  void (*kernel)(const MoeArgs& args);
};

inline Dtype DtypeNamed(std::string_view name) {
  return name == "bf16" ? Dtype::kBf16 : name == "fp16" ? Dtype::kFp16 : Dtype::kFp32;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_KERNELS_FAMILIES_EMULATED_CASE_H_
