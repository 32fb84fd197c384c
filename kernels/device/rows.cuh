// Which row of X and which rows of W a tile is read from, and which row of the output it is written
// to.
#ifndef MOETUNE_KERNELS_DEVICE_ROWS_CUH_
#define MOETUNE_KERNELS_DEVICE_ROWS_CUH_

#include "kernels/device/args.h"
#include "kernels/device/divisor.cuh"
#include "kernels/device/scheduler.cuh"

namespace moetune {

// With swiglu a tile of W alternates between GRANULE rows of gate and the same GRANULE of up, so
// that a thread holds both. Row `row` of a tile: the output column that it belongs to, counted from
// the tile's first, and whether it is one of up.
template <int GRANULE>
MOE_CONSTEXPR int PairedColumn(int row) {
  return row / (2 * GRANULE) * GRANULE + row % GRANULE;
}
template <int GRANULE>
MOE_CONSTEXPR bool IsUp(int row) {
  return row / GRANULE % 2 != 0;
}

// Where a row of X begins is said in units of 16 bytes: this one is no row's.
constexpr unsigned kNoOffset = 0xffffffff;
MOE_CONSTEXPR bool OffsetsFit(long long rows, long long k) { return rows * (k / 8) <= kNoOffset; }

#ifdef __CUDACC__

template <typename Index, bool GATHER>
__device__ __forceinline__ int SourceRow(const MoeArgs& args, int row) {
  if (!GATHER) return row;
  return static_cast<int>(static_cast<const Index*>(args.row_index)[row]) /
         static_cast<int>(args.top_k);
}

// Where the row of X begins that `row` in expert order is read from. k is a multiple of 8.
template <typename Index, bool GATHER>
__device__ __forceinline__ unsigned OffsetOfX(const MoeArgs& args, const LaunchArgs& launch,
                                              int row) {
  auto source = static_cast<unsigned>(row);
  if (GATHER) {
    const Index slot = static_cast<const Index*>(args.row_index)[row];
    source = Divide(static_cast<unsigned>(slot), launch.top_k);
  }
  return source * static_cast<unsigned>(args.k / 8);
}

template <typename Index, bool SCATTER>
__device__ __forceinline__ int TargetRow(const MoeArgs& args, int row) {
  if (!SCATTER) return row;
  return static_cast<int>(static_cast<const Index*>(args.row_index)[row]);
}

// Columns of the output, and with swiglu those of gate and of up.
template <bool SWIGLU>
__device__ __forceinline__ long long OutputColumns(const MoeArgs& args) {
  return SWIGLU ? args.n / 2 : args.n;
}

// What moe_kernel writes: with combine the rows that moe_combine sums.
template <typename Output, bool COMBINE>
__device__ __forceinline__ Output* TargetTensor(const MoeArgs& args) {
  return static_cast<Output*>(COMBINE ? args.workspace : args.y);
}

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_ROWS_CUH_
