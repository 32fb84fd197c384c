// CompileResult: what became of compiling one candidate.
#ifndef MOETUNE_TUNER_COMPILE_RESULT_H_
#define MOETUNE_TUNER_COMPILE_RESULT_H_

#include <string>

#include "db/record.h"
#include "kernels/kernel_facts.h"
#include "runtime/compiler.h"

namespace moetune {

struct CompileResult {
  Outcome outcome = Outcome::kOk;
  std::string error;         // why, when the outcome is not kOk
  KernelFacts facts;         // also of a kernel that is rejected for them
  std::string cubin_sha256;  // likewise
  double compile_ms = 0;     // next to nothing when the cubin was cached

  bool operator==(const CompileResult&) const = default;
};

// Of a kernel that NVRTC compiled: rejected for local memory, or for serialised wgmma.
CompileResult Judge(const Cubin& cubin);

}  // namespace moetune

#endif  // MOETUNE_TUNER_COMPILE_RESULT_H_
