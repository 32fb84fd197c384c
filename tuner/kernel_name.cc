#include "tuner/kernel_name.h"

#include "absl/strings/str_format.h"

namespace moetune {

std::string KernelName(const Shape& shape, const Candidate& candidate) {
  return absl::StrFormat("%s/%s/%s %s %s", OpName(shape.op), DtypesText(shape),
                         FusionsText(shape.fusions), candidate.family->name,
                         CompiledPart(*candidate.family, candidate.config).Text());
}

}  // namespace moetune
