// The two tables of what can run. Adding an op or a family is a new file and one entry here.
#ifndef MOETUNE_KERNELS_REGISTRY_H_
#define MOETUNE_KERNELS_REGISTRY_H_

#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "kernels/family.h"
#include "kernels/op.h"

namespace moetune {

std::span<const Op* const> Ops();
std::span<const Family* const> Families();

const Op& OpOf(OpKind kind);
absl::StatusOr<const Family*> FindFamily(std::string_view name);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_REGISTRY_H_
