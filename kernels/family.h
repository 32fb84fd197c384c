// Family: one kernel source with its space, and how a config of it is launched.
#ifndef MOETUNE_KERNELS_FAMILY_H_
#define MOETUNE_KERNELS_FAMILY_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "kernels/config.h"
#include "kernels/device/args.h"
#include "kernels/device_spec.h"
#include "kernels/kernel_facts.h"
#include "kernels/problem.h"
#include "kernels/space.h"

namespace moetune {

// A tensor of 16-bit elements that a kernel reads through TMA: by boxes of 64 elements (128 bytes,
// swizzled) along the innermost dimension, which comes first.
struct TensorView {
  int rank = 0;             // 0: the kernel does not read it so
  int64_t sizes[5] = {};    // in elements
  int64_t pitches[4] = {};  // of dimensions 1 and up, in bytes: multiples of 16
  int box[5] = {};          // in elements, at most 256 each
};

// One launch of the entry `moe_kernel`, and after it one of `moe_combine` (device/combine.cuh). The
// first takes MoeArgs, LaunchArgs and TensorMaps (device/args.h), or as many of them as it has use
// for; the second MoeArgs.
struct Plan {
  int64_t grid[3] = {1, 1, 1};  // CTAs; any zero means that nothing is launched
  int threads = 0;              // per CTA
  int64_t dynamic_shared_bytes = 0;
  int64_t combine_ctas = 0;             // of kCombineThreads; 0: no such launch
  int operand_alignment = 1;            // x and w begin at multiples of so many bytes
  int64_t most_x_elements = INT64_MAX;  // that x may have
  bool draws_tiles = false;             // its CTAs, from a queue (device/tile_queue.cuh)
  LaunchArgs launch;                    // its queue is set by the runtime, for each launch
  TensorView w, x;  // of those arguments: with a rank, TensorMaps has their maps
};

// How a config covers the output, for the cost model.
struct Tile {
  int64_t m = 0, n = 0, k = 0;  // k: that are under way at once
  int64_t step_m = 0;  // rows are made in multiples of it and split evenly over tiles; 0: all m are
  int64_t ctas = 1;    // that make it together
  int64_t run_k = 0;   // columns of a row that are read in one go; 0: whole cache lines
  bool copied_aside = false;  // by warps that do not multiply
  bool stored_aside = false;  // while the next one is multiplied
  bool along_n = false;  // an expert's tiles of other rows of W come between those of the same rows
  bool sorted = false;   // by tokens: each CTA sorts the experts at its start
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

  // The rate that its inner loop sustains with full SMs on tiles of so many rows, TFLOP/s.
  double (*tflops)(const Config& config, double rows, const DeviceSpec& device);
};

// A config with its family: what is suggested, measured, stored and launched.
struct Candidate {
  const Family* family = nullptr;
  Config config;

  bool operator==(const Candidate&) const = default;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_FAMILY_H_
