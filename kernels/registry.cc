#include "kernels/registry.h"

#include "kernels/names.h"

namespace moetune {

extern const Op kForwardOp;
extern const Family kReferenceFamily;
extern const Family kSm80MmaFamily;

namespace {

constexpr const Op* kOps[] = {
    &kForwardOp,
};

constexpr const Family* kFamilies[] = {
    &kReferenceFamily,
    &kSm80MmaFamily,
};

}  // namespace

std::span<const Op* const> Ops() { return kOps; }
std::span<const Family* const> Families() { return kFamilies; }

const Op& OpOf(OpKind kind) {
  for (const Op* op : kOps) {
    if (op->kind == kind) return *op;
  }
  __builtin_unreachable();  // every OpKind has its entry: registry_test
}

absl::StatusOr<const Family*> FindFamily(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Family* family : kFamilies) {
    if (family->name == name) return family;
    known.push_back(family->name);
  }
  return UnknownName("family", name, known);
}

}  // namespace moetune
