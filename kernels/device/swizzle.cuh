// Where a 16-byte chunk of a row lies in shared memory, so that both a warp's 16-byte writes of
// whole rows and ldmatrix's reads of 8 rows of one chunk touch all 32 banks once. constexpr, for
// the host tests.
#ifndef MOETUNE_KERNELS_DEVICE_SWIZZLE_CUH_
#define MOETUNE_KERNELS_DEVICE_SWIZZLE_CUH_

#include "kernels/device/scheduler.cuh"

namespace moetune {

// Offset, in chunks, of `chunk` of `row` in a tile of CHUNKS (4 or 8) chunks a row. 8 chunks fill
// the 128 bytes of all banks, 4 chunks half of them: then rows share a bank line in pairs.
template <int CHUNKS>
MOE_CONSTEXPR int SwizzledChunk(int row, int chunk) {
  static_assert(CHUNKS == 4 || CHUNKS == 8);
  return row * CHUNKS + (chunk ^ (CHUNKS == 8 ? row % 8 : row / 2 % 4));
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_SWIZZLE_CUH_
