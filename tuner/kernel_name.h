// The name of one compiled kernel: what problems of one op, dtypes and fusions share, and configs
// that differ in what is given at launch alone.
#ifndef MOETUNE_TUNER_KERNEL_NAME_H_
#define MOETUNE_TUNER_KERNEL_NAME_H_

#include <string>

#include "kernels/family.h"

namespace moetune {

std::string KernelName(const Shape& shape, const Candidate& candidate);

}  // namespace moetune

#endif  // MOETUNE_TUNER_KERNEL_NAME_H_
