// Which row of X a routed row is read from, and which row of Y it is written to.
#ifndef MOETUNE_KERNELS_DEVICE_ROWS_CUH_
#define MOETUNE_KERNELS_DEVICE_ROWS_CUH_

#include "kernels/device/args.h"

namespace moetune {

template <typename Index, bool GATHER>
__device__ __forceinline__ int SourceRow(const MoeArgs& args, int row) {
  if (!GATHER) return row;
  return static_cast<int>(static_cast<const Index*>(args.row_index)[row]) /
         static_cast<int>(args.top_k);
}

template <typename Index, bool SCATTER>
__device__ __forceinline__ int TargetRow(const MoeArgs& args, int row) {
  if (!SCATTER) return row;
  return static_cast<int>(static_cast<const Index*>(args.row_index)[row]);
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_ROWS_CUH_
