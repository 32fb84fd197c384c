// The name of one compiled kernel: what problems of one op, dtypes and fusions share.
#ifndef MOETUNE_TUNER_KERNEL_NAME_H_
#define MOETUNE_TUNER_KERNEL_NAME_H_

#include <string>
#include <string_view>

#include "kernels/config.h"
#include "kernels/problem.h"

namespace moetune {

std::string KernelName(const Shape& shape, std::string_view family, const Config& config);

}  // namespace moetune

#endif  // MOETUNE_TUNER_KERNEL_NAME_H_
