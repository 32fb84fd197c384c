#include "tuner/kernel_name.h"

#include "absl/strings/str_format.h"

namespace moetune {

std::string KernelName(const Shape& shape, std::string_view family, const Config& config) {
  return absl::StrFormat("%s/%s/%s %s %s", OpName(shape.op), DtypesText(shape),
                         FusionsText(shape.fusions), family, config.Text());
}

}  // namespace moetune
