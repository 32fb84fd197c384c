// Which tile of which expert a CTA works on, from row counts that are read on the device.
//
// The routed rows of all experts stand one after the other. An expert of r rows has ceil(r /
// block_m) row tiles; row tiles are numbered through all experts, so an empty expert costs nothing.
// Rows, slots and tiles fit 32 bits (ValidateProblem); element offsets do not. The index arithmetic
// is constexpr and free of intrinsics: the host tests run it.
#ifndef MOETUNE_KERNELS_DEVICE_SCHEDULER_CUH_
#define MOETUNE_KERNELS_DEVICE_SCHEDULER_CUH_

#ifdef __CUDACC__
#define MOE_CONSTEXPR __host__ __device__ constexpr
#else
#define MOE_CONSTEXPR constexpr
#endif

namespace moetune {

MOE_CONSTEXPR long long CeilDiv(long long a, long long b) { return (a + b - 1) / b; }

// The most row tiles that `rows` rows over `experts` experts can make: what the host sizes a grid
// by.
MOE_CONSTEXPR long long MaxRowTiles(long long rows, long long experts, long long block_m) {
  const long long nonempty = rows < experts ? rows : experts;
  return (rows + nonempty * (block_m - 1)) / block_m;
}

struct RowTile {
  int expert;
  int first_row;  // in expert order
  int rows;       // of this tile: block_m, or fewer at the expert's end
};

// Row tile `tile` of an expert whose rows begin at `rows_before`.
MOE_CONSTEXPR RowTile TileOfExpert(int expert, int rows_before, int expert_rows, int tile,
                                   int block_m) {
  const int done = tile * block_m;
  const int left = expert_rows - done;
  return {expert, rows_before + done, left < block_m ? left : block_m};
}

struct TileIndex {
  int m;
  int n;
};

// Tile `index` of an expert with tiles_m x tiles_n tiles. Up to group_m row tiles form a group that
// is walked m first, so that CTAs at work together share columns of W; group_m 1 walks n first.
MOE_CONSTEXPR TileIndex Raster(int index, int tiles_m, int tiles_n, int group_m) {
  const int group = index / (group_m * tiles_n);
  const int first_m = group * group_m;
  const int left = tiles_m - first_m;
  const int group_tiles_m = left < group_m ? left : group_m;
  const int in_group = index - first_m * tiles_n;
  return {first_m + in_group % group_tiles_m, in_group / group_tiles_m};
}

#ifdef __CUDACC__

__device__ __forceinline__ int InclusiveScan(int value, int lane) {
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const int below = __shfl_up_sync(0xffffffffu, value, offset);
    if (lane >= offset) value += below;
  }
  return value;
}

// Finds tiles in ascending order of their number, all tiles_n column tiles of a row tile counted,
// without reading a row count twice. Every method is called by all lanes of a warp.
template <typename Count>
class TileCursor {
 public:
  __device__ __forceinline__ TileCursor(const Count* row_counts, int experts, int tiles_n,
                                        int block_m)
      : row_counts_(row_counts), experts_(experts), tiles_n_(tiles_n), block_m_(block_m) {
    Scan();
  }

  // Moves to tile number `tile`, not before the last one found. False past the last tile.
  __device__ __forceinline__ bool Find(int tile, int group_m, RowTile& rows, int& tile_n) {
    while (tile >= __shfl_sync(0xffffffffu, tiles_end_, 31)) {
      first_ += 32;
      if (first_ >= experts_) return false;
      Scan();
    }
    const int owner = __ffs(static_cast<int>(__ballot_sync(0xffffffffu, tile < tiles_end_))) - 1;
    const int expert_rows = __shfl_sync(0xffffffffu, rows_, owner);
    const int rows_before = __shfl_sync(0xffffffffu, rows_end_, owner) - expert_rows;
    const int tiles_m = (expert_rows + block_m_ - 1) / block_m_;
    const int tiles_before = __shfl_sync(0xffffffffu, tiles_end_, owner) - tiles_m * tiles_n_;
    const TileIndex at = Raster(tile - tiles_before, tiles_m, tiles_n_, group_m);
    rows = TileOfExpert(first_ + owner, rows_before, expert_rows, at.m, block_m_);
    tile_n = at.n;
    return true;
  }

 private:
  // Reads the counts of experts first_ .. first_ + 31, one a lane, and sums up to each.
  __device__ __forceinline__ void Scan() {
    const int lane = threadIdx.x % 32;
    const int rows_before = __shfl_sync(0xffffffffu, rows_end_, 31);
    const int tiles_before = __shfl_sync(0xffffffffu, tiles_end_, 31);
    rows_ = first_ + lane < experts_ ? static_cast<int>(row_counts_[first_ + lane]) : 0;
    const int tiles = (rows_ + block_m_ - 1) / block_m_ * tiles_n_;
    rows_end_ = rows_before + InclusiveScan(rows_, lane);
    tiles_end_ = tiles_before + InclusiveScan(tiles, lane);
  }

  const Count* row_counts_;
  int experts_;
  int tiles_n_;
  int block_m_;
  int first_ = 0;
  int rows_ = 0;      // of this lane's expert
  int rows_end_ = 0;  // after this lane's expert
  int tiles_end_ = 0;
};

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_SCHEDULER_CUH_
