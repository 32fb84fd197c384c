// Family: one kernel source with its space, and how a config of it is launched.
#ifndef MOETUNE_KERNELS_FAMILY_H_
#define MOETUNE_KERNELS_FAMILY_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "kernels/config.h"
#include "kernels/device_spec.h"
#include "kernels/kernel_facts.h"
#include "kernels/problem.h"
#include "kernels/space.h"

namespace moetune {

// One launch of the entry `moe_kernel`, and after it one of `moe_combine` (device/combine.cuh).
struct Plan {
  int64_t grid[3] = {1, 1, 1};  // CTAs; any zero means that nothing is launched
  int threads = 0;              // per CTA
  int64_t dynamic_shared_bytes = 0;
  int64_t combine_ctas = 0;  // of kCombineThreads; 0: no such launch
};

// How a config covers the output, for the cost model.
struct Tile {
  int64_t m = 0, n = 0, k = 0;
};

struct Family {
  std::string_view name;
  std::string_view summary;
  std::string_view source;  // "kernels/families/reference.cuh"
  int min_compute_capability;
  const Space& (*space)();

  // The legality predicate beyond "each value is in the space": CheckLegal in space.h calls it.
  absl::Status (*check)(const Problem& problem, const Config& config, const DeviceSpec& device);

  // Grid, block and shared memory for a legal config. Pure, allocates nothing: it is on the launch
  // path. Only shape, tokens and rows of the problem count.
  Plan (*plan)(const Problem& problem, const Config& config, const DeviceSpec& device,
               const KernelFacts& facts);

  Tile (*tile)(const Config& config);

  // The rate that its inner loop sustains with full SMs, TFLOP/s.
  double (*tflops)(const Config& config, const DeviceSpec& device);
};

// A config with its family: what is suggested, measured, stored and launched.
struct Candidate {
  const Family* family = nullptr;
  Config config;

  bool operator==(const Candidate&) const = default;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_FAMILY_H_
