#include "tuner/compile_result.h"

#include "absl/strings/str_format.h"

namespace moetune {

CompileResult Judge(const Cubin& cubin) {
  CompileResult result = {.facts = cubin.facts, .cubin_sha256 = cubin.sha256};
  if (cubin.facts.spill_bytes > 0 || cubin.facts.stack_bytes > 0) {
    result.outcome = Outcome::kSpills;
    result.error = absl::StrFormat("%d bytes of spills, %d bytes of stack frame",
                                   cubin.facts.spill_bytes, cubin.facts.stack_bytes);
  } else if (cubin.facts.wgmma_serialised) {
    result.outcome = Outcome::kSerialised;
    result.error = "the compiler serialised its wgmma instructions (C75xx)";
  }
  return result;
}

}  // namespace moetune
