// Stands in for kernels/registry.cc in the one program that has the family `faulty`: a linker takes
// nothing from a library that it has found already.
#include "kernels/registry.h"

#include "absl/strings/str_format.h"
#include "kernels/device/scheduler.cuh"
#include "kernels/names.h"

namespace moetune {

extern const Op kForwardOp;
extern const Family kReferenceFamily;

namespace {

const Space& FaultySpace() {
  static const Space space = {{
      {"fault",
       "0: an illegal address, 4: an endless loop, 8: a wrong result, else none",
       {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}}},
      {"threads", "per CTA", {{64}, {128}}},
  }};
  return space;
}

absl::Status Check(const Problem& problem, const Config&, const DeviceSpec&) {
  if (problem.shape.fusions == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("faulty: fusions %s; allowed: plain", FusionsText(problem.shape.fusions)));
}

Plan MakePlan(const Problem& problem, const Config& config, const DeviceSpec&, const KernelFacts&) {
  Plan plan;
  plan.grid[0] = problem.rows * CeilDiv(problem.shape.n, config.Get("threads"));
  plan.threads = static_cast<int>(config.Get("threads"));
  return plan;
}

Tile TileOf(const Config& config) { return {1, config.Get("threads"), 1}; }

double Tflops(const Config&, double, const DeviceSpec& device) { return device.fma_tflops; }

// Its favourites are faulty: the first base, and often the default.
const Family kFaultyFamily = {
    .name = "faulty",
    .summary = "one config in ten for each of three faults",
    .source = "tests/gpu/faulty/faulty.cuh",
    .min_compute_capability = 75,
    .space = FaultySpace,
    .check = Check,
    .plan = MakePlan,
    .tile = TileOf,
    .tflops = Tflops,
};

const Op* const kOps[] = {&kForwardOp};
const Family* const kFamilies[] = {&kReferenceFamily, &kFaultyFamily};

}  // namespace

std::span<const Op* const> Ops() { return kOps; }
std::span<const Family* const> Families() { return kFamilies; }

const Op& OpOf(OpKind) { return kForwardOp; }

absl::StatusOr<const Family*> FindFamily(std::string_view name) {
  for (const Family* family : kFamilies) {
    if (family->name == name) return family;
  }
  return absl::NotFoundError(absl::StrFormat("no family '%s'", name));
}

}  // namespace moetune
