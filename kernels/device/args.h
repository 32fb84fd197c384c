// The arguments of every kernel: read by the host compilers and by NVRTC, so it uses only
// built-in types. Pointers are device addresses; unused ones are null.
#ifndef MOETUNE_KERNELS_DEVICE_ARGS_H_
#define MOETUNE_KERNELS_DEVICE_ARGS_H_

namespace moetune {

struct MoeArgs {
  const void* x;           // activations: (tokens, k) with gather, else (rows, k) in expert order
  const void* w;           // weights: (experts, n, k), k contiguous; with swiglu gate before up
  void* y;                 // output: (rows, n) in expert order; with scatter (tokens * top_k, n),
                           // of which the routed slots are written; with combine (tokens, n); with
                           // swiglu (rows, n / 2)
  const void* row_counts;  // (experts,) rows of each expert, int32 or int64
  const void* row_index;   // (rows,) slot = token * top_k + j of each expert-sorted row
  const void* scale;  // (tokens * top_k,) weights in slot order; with combine a slot that is in
                      // no row, such as another rank's, has weight zero and adds nothing
  void* preact;       // with preact: (rows, n) in expert order, gate and up before swiglu
  void* workspace;    // with combine: WorkspaceBytes (kernels/problem.h), of any content

  long long tokens;
  long long rows;  // capacity of the launch: at least the sum of row_counts
  long long experts;
  long long top_k;
  long long n;
  long long k;
};

// A number to divide by (divisor.cuh).
struct Divisor {
  unsigned multiplier;
  int shift;
};

// What the family's plan gives a launch beside its MoeArgs: in which order tiles are made and which
// CTA makes which, on which no result depends; and top_k, to divide slots by.
struct LaunchArgs {
  Divisor top_k = {};
  int queue = -1;   // that free CTAs draw tiles from (tile_queue.cuh); negative: none does
  int group_m = 1;  // row tiles of an expert that are walked together, m first
  int sort = 0;     // 1: tiles of most tokens first
};

// How TMA reads a tensor: the driver's opaque CUtensorMap.
struct alignas(64) TensorMap {
  unsigned long long words[16];
};
struct TensorMaps {
  TensorMap w, x;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_ARGS_H_
