// Tiles whose number of tokens follows the experts: an expert's rows are split evenly into as few
// tiles as hold them, so no tile is mostly empty. A table of all experts in shared memory, made by
// the CTA at its start, says which tile is whose. constexpr arithmetic for the host tests.
#ifndef MOETUNE_KERNELS_DEVICE_EXPERT_TILES_CUH_
#define MOETUNE_KERNELS_DEVICE_EXPERT_TILES_CUH_

#include "kernels/device/scheduler.cuh"

namespace moetune {

struct TokenSplit {
  int tiles;
  int tokens;  // of each tile, a multiple of the granule; fewer rows in the last
};

// `rows` rows in the fewest tiles of at most `capacity` tokens (a multiple of `granule`).
MOE_CONSTEXPR TokenSplit SplitTokens(int rows, int capacity, int granule) {
  if (rows == 0) return {0, 0};
  const int tiles = (rows + capacity - 1) / capacity;
  return {tiles, (rows + tiles * granule - 1) / (tiles * granule) * granule};
}

// One expert of the table. Experts without rows have no tiles.
struct ExpertTiles {
  int tiles_end;  // number of tiles up to and with this expert
  int expert;
  int first_row;  // in expert order
  int rows;
};

// What a CTA makes: `rows` rows of an expert from `first_row` on, times row block `tile_n` of W.
struct TokenTile {
  int expert;
  int first_row;
  int rows;
  int tile_n;
};

// Experts whose tiles can be sorted: all pairs of them are compared in every CTA.
constexpr int kMostSorted = 1024;

// What all CTAs agree on.
struct TileGrid {
  int tiles_n;   // blocks of W
  int capacity;  // most tokens of a CTA's tile
  int cluster;   // CTAs that share a block of W and split the tokens
  int group_m;   // row tiles of an expert that are walked together, m first
};

// Tile `index` of an expert, as far as CTA `rank` of a cluster makes it.
MOE_CONSTEXPR TokenTile TileOfTokens(const ExpertTiles& entry, int index, const TileGrid& grid,
                                     int rank) {
  const TokenSplit split = SplitTokens(entry.rows, grid.capacity * grid.cluster, 8 * grid.cluster);
  const int share = split.tokens / grid.cluster;
  const TileIndex at = Raster(index, split.tiles, grid.tiles_n, grid.group_m);
  const int begin = at.m * split.tokens + rank * share;
  const int left = entry.rows - begin;
  const int rows = left < 0 ? 0 : left < share ? left : share;
  return {entry.expert, entry.first_row + begin, rows, at.n};
}

#ifdef __CUDACC__

// Adds a warp's experts from `base` on to the table, in order: eight neighbours a lane.
// `rows_before` and `tiles_before` grow by theirs.
template <typename Count>
__device__ __forceinline__ void TabulateExperts(const Count* row_counts, int experts, int base,
                                                const TileGrid& grid, ExpertTiles* table,
                                                int& rows_before, int& tiles_before) {
  constexpr int kEach = 8;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int first = base + lane * kEach;
  int rows[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    rows[i] = first + i < experts ? static_cast<int>(row_counts[first + i]) : 0;
  }
  int tiles[kEach];
  int lane_rows = 0;
  int lane_tiles = 0;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int capacity = grid.capacity * grid.cluster;
    tiles[i] = (rows[i] + capacity - 1) / capacity * grid.tiles_n;
    lane_rows += rows[i];
    lane_tiles += tiles[i];
  }
  const int rows_end = rows_before + InclusiveScan(lane_rows, lane);
  const int tiles_end = tiles_before + InclusiveScan(lane_tiles, lane);
  int first_row = rows_end - lane_rows;
  int end = tiles_end - lane_tiles;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    end += tiles[i];
    if (first + i < experts) table[first + i] = {end, first + i, first_row, rows[i]};
    first_row += rows[i];
  }
  rows_before = __shfl_sync(0xffffffffu, rows_end, 31);
  tiles_before = __shfl_sync(0xffffffffu, tiles_end, 31);
}

// Moves the experts whose tiles have the most tokens to the front of the table: those that work
// side by side are alike then, and the last wave is cheap. By all threads, after a barrier.
template <int threads>
__device__ __forceinline__ void SortExperts(int experts, const TileGrid& grid, ExpertTiles* table) {
  const int capacity = grid.capacity * grid.cluster;
  const int granule = 8 * grid.cluster;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  // Each entry moves to its place: registers hold it over the barrier.
  constexpr int kMost = (kMostSorted + threads - 1) / threads;  // experts a thread
  ExpertTiles moved[kMost];
  int places[kMost];
#pragma unroll
  for (int i = 0; i < kMost; ++i) {
    const int e = thread + i * threads;
    if (e >= experts) continue;
    moved[i] = table[e];
    table[e].tiles_end = SplitTokens(moved[i].rows, capacity, granule).tokens;  // made anew below
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kMost; ++i) {
    const int e = thread + i * threads;
    if (e >= experts) continue;
    const int tokens = table[e].tiles_end;
    places[i] = 0;
    for (int other = 0; other < experts; ++other) {
      const int others = table[other].tiles_end;
      places[i] += others > tokens || (others == tokens && other < e);
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kMost; ++i) {
    if (thread + i * threads < experts) table[places[i]] = moved[i];
  }
  __syncthreads();
  if (thread < 32) {
    int before = 0;
    for (int base = 0; base < experts; base += 32) {
      const int slot = base + lane;
      const int rows = slot < experts ? table[slot].rows : 0;
      const int end = before + InclusiveScan((rows + capacity - 1) / capacity * grid.tiles_n, lane);
      if (slot < experts) table[slot].tiles_end = end;
      before = __shfl_sync(0xffffffffu, end, 31);
    }
  }
}

// Makes the table of `experts` entries in shared memory; with `sort` the tiles of most tokens come
// first. Called by all threads of the CTA; ends with a barrier.
template <int threads, typename Count>
__device__ __forceinline__ void MakeExpertTable(const Count* row_counts, int experts,
                                                const TileGrid& grid, bool sort,
                                                ExpertTiles* table) {
  if (threadIdx.x < 32) {
    int rows_before = 0;
    int tiles_before = 0;
    for (int base = 0; base < experts; base += 256) {
      TabulateExperts(row_counts, experts, base, grid, table, rows_before, tiles_before);
    }
  }
  __syncthreads();
  if (sort) {
    SortExperts<threads>(experts, grid, table);
    __syncthreads();
  }
}

// Finds tiles in ascending order. Every method is called by all lanes of a warp.
class TableCursor {
 public:
  __device__ __forceinline__ TableCursor(const ExpertTiles* table, int experts)
      : table_(table), experts_(experts) {}

  // The table's entry that has tile `tile`, not before the last one found, and the tile's index
  // within it. False past the last tile.
  __device__ __forceinline__ bool Find(int tile, ExpertTiles& entry, int& index) {
    const int lane = threadIdx.x % 32;
    while (first_ < experts_) {
      const int slot = first_ + lane;
      const bool past = slot < experts_ && tile < table_[slot].tiles_end;
      const unsigned owners = __ballot_sync(0xffffffffu, past);
      if (owners != 0) {
        const int owner = first_ + __ffs(static_cast<int>(owners)) - 1;
        entry = table_[owner];
        index = tile - (owner == 0 ? 0 : table_[owner - 1].tiles_end);
        return true;
      }
      first_ += 32;
    }
    return false;
  }

 private:
  const ExpertTiles* table_;
  int experts_;
  int first_ = 0;
};

#endif  // __CUDACC__

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_EXPERT_TILES_CUH_
