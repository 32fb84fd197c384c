// From a consumer warpgroup's accumulators to memory. Lane 4g + t of warp w has in acc[b][4j + 2h +
// e] row 64b + 16w + g + 8h of the warpgroup's rows of W, and token 8j + 2t + e of the tile. With
// swiglu h = 0 are rows of gate and h = 1 the same rows of up.
#ifndef MOETUNE_KERNELS_DEVICE_WGMMA_STORE_CUH_
#define MOETUNE_KERNELS_DEVICE_WGMMA_STORE_CUH_

#include "kernels/device/epilogue.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/wgmma_tile.cuh"

namespace moetune {

// Where the tokens of a tile go and what they weigh: loaded by a warpgroup while the tile is
// multiplied, shared among its threads after.
class Targets {
 public:
  static constexpr bool kUsed = FUSE_SCATTER || FUSE_SCALE;

  __device__ __forceinline__ void LoadRows(const MoeArgs& args, const TokenTile& tile) {
#pragma unroll
    for (int i = 0; kUsed && i < kEach; ++i) {
      const int row = static_cast<int>(threadIdx.x) % 128 + i * 128;
      rows_[i] = row < tile.rows ? TargetRow<INDEX, true>(args, tile.first_row + row) : 0;
    }
  }
  __device__ __forceinline__ void LoadWeights(const MoeArgs& args) {
#pragma unroll
    for (int i = 0; FUSE_SCALE && i < kEach; ++i) {
      weights_[i] = ToFloat(static_cast<const WEIGHT*>(args.scale)[rows_[i]]);
    }
  }
  // A barrier must follow.
  __device__ __forceinline__ void Share(int* targets, float* weights) const {
#pragma unroll
    for (int i = 0; kUsed && i < kEach; ++i) {
      const int row = static_cast<int>(threadIdx.x) % 128 + i * 128;
      if (row >= BLOCK_M) break;
      targets[row] = rows_[i];
      if (FUSE_SCALE) weights[row] = weights_[i];
    }
  }

 private:
  static constexpr int kEach = (BLOCK_M + 127) / 128;  // tokens a thread
  int rows_[kEach] = {};
  float weights_[kEach] = {};
};

// One of the tensors that a tile is stored to.
struct Destination {
  OUTPUT* base;  // at the first column
  long long pitch;
  int first_column;    // of the warpgroup
  int columns;         // of the tensor, or of its half
  const int* targets;  // rows of the tensor by token; null: they follow each other
  long long first_row;

  __device__ __forceinline__ OUTPUT* Row(int token) const {
    return base + (targets != nullptr ? targets[token] : first_row + token) * pitch;
  }
  __device__ __forceinline__ bool IsAligned() const {
    return columns % 8 == 0 && pitch % 8 == 0 &&
           reinterpret_cast<unsigned long long>(base) % 16 == 0;
  }
};

enum class Part { kOutput, kGate, kUp };

template <Part PART>
__device__ __forceinline__ float PairValue(float gate, float up) {
  return PART == Part::kOutput ? Swiglu(gate, up) : PART == Part::kGate ? gate : up;
}

// Rounds and stores element by element: what cannot be staged in 16-bit matrices.
template <Part PART>
__device__ __forceinline__ void StoreElements(const float (&acc)[kBlocks][BLOCK_M / 2], int rows,
                                              const Destination& to, const float* weights) {
  const int warp = static_cast<int>(threadIdx.x) % 128 / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kRowsEach = FUSE_SWIGLU ? 8 : 16;  // columns of Y from a warp's 16 rows of W
#pragma unroll
  for (int b = 0; b < kBlocks; ++b) {
#pragma unroll
    for (int i = 0; i < BLOCK_M / 2; ++i) {
      const int h = i / 2 % 2;
      if (FUSE_SWIGLU && h == 1) continue;
      const int token = i / 4 * 8 + lane % 4 * 2 + i % 2;
      const int column = to.first_column + (b * 4 + warp) * kRowsEach + h * 8 + lane / 4;
      if (token >= rows || column >= to.columns) continue;
      float value = acc[b][i];
      if constexpr (FUSE_SWIGLU) value = PairValue<PART>(value, acc[b][i + 2]);
      to.Row(token)[column] =
          FUSE_SCALE ? FinishScaled<OUTPUT>(value, weights[token]) : Finish<OUTPUT>(value);
    }
  }
}

// Rounds what block b has of 16 tokens (8 where the tile has no more) and stages it token by token.
template <Part PART>
__device__ __forceinline__ void StageTokens(const float (&acc)[BLOCK_M / 2], int b, int token,
                                            unsigned slab, const float* weights) {
  constexpr int kEights = BLOCK_M < 16 ? 1 : 2;
  const int warp = static_cast<int>(threadIdx.x) % 128 / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (FUSE_SWIGLU) {
    unsigned packed[kEights];
#pragma unroll
    for (int j = 0; j < kEights; ++j) {
      const int i = (token / 8 + j) * 4;
      packed[j] = Pack<OUTPUT>(PairValue<PART>(acc[i], acc[i + 2]),
                               PairValue<PART>(acc[i + 1], acc[i + 3]));
    }
    StoreMatrixTransposed(slab + lane % (8 * kEights) * kPitch + (b * 4 + warp) * 16, packed);
  } else {
    unsigned packed[2 * kEights];
#pragma unroll
    for (int j = 0; j < kEights; ++j) {
      const int first = token + j * 8 + lane % 4 * 2;
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int i = (token / 8 + j) * 4 + h * 2;
        unsigned pair = Pack<OUTPUT>(acc[i], acc[i + 1]);
        if (FUSE_SCALE) pair = ScalePair<OUTPUT>(pair, weights[first], weights[first + 1]);
        packed[2 * j + h] = pair;
      }
    }
    const int row = lane / 16 % kEights * 8 + lane % 8;
    StoreMatrixTransposed(slab + row * kPitch + (b * 8 + warp * 2 + lane / 8 % 2) * 16, packed);
  }
}

// Stores 8 columns from `column` on, as far as the tensor has them.
__device__ __forceinline__ void StoreChunk(OUTPUT* y, const unsigned (&chunk)[4], int column,
                                           const Destination& to, bool aligned) {
  if (aligned) {
    *reinterpret_cast<uint4*>(y) = {chunk[0], chunk[1], chunk[2], chunk[3]};
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (column + i >= to.columns) break;
    reinterpret_cast<unsigned short*>(y)[i] =
        static_cast<unsigned short>(chunk[i / 2] >> (i % 2 * 16));
  }
}

// Stores the first `rows` tokens of a slab, which are tokens `first` and up of the tile.
__device__ __forceinline__ void StoreSlab(unsigned slab, int first, int rows, const Destination& to,
                                          bool aligned) {
  constexpr int kChunks = kColumns / 8;
  constexpr int kRowsAtOnce = 128 / kChunks;
  constexpr int kEach = (kSlab + kRowsAtOnce - 1) / kRowsAtOnce;
  const int row = static_cast<int>(threadIdx.x) % 128 / kChunks;
  const int chunk = static_cast<int>(threadIdx.x) % kChunks;
  const int column = to.first_column + chunk * 8;
  if (column >= to.columns || row >= kSlab) return;
  unsigned chunks[kEach][4];
  OUTPUT* y[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {  // all are under way before the first is stored
    LoadShared16(chunks[i], slab + (row + i * kRowsAtOnce) * kPitch + chunk * 16);
    y[i] = to.Row(first + row + i * kRowsAtOnce) + column;
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    if (row + i * kRowsAtOnce < rows) StoreChunk(y[i], chunks[i], column, to, aligned);
  }
}

// Stores the first `rows` tokens, 16-bit ones through shared memory, a slab of tokens at a time and
// two slabs in turn: so that whole rows are written. Called by all threads of the warpgroup.
template <Part PART>
__device__ __forceinline__ void StoreTile(const float (&acc)[kBlocks][BLOCK_M / 2], int rows,
                                          const Destination& to, const float* weights,
                                          unsigned staging, int barrier) {
  if constexpr (sizeof(OUTPUT) != 2) {
    StoreElements<PART>(acc, rows, to, weights);
  } else {
    const bool aligned = to.IsAligned();
#pragma unroll
    for (int first = -kSlab; first < BLOCK_M; first += kSlab) {  // the next slab before this one
      if (first >= rows) break;
      const int slab = first / kSlab;
      if (first >= 0) NamedBarrier(barrier, 128);
      if (first + kSlab < BLOCK_M) {
#pragma unroll
        for (int b = 0; b < kBlocks; ++b) {
          StageTokens<PART>(acc[b], b, first + kSlab, staging + (slab + 1) % 2 * kSlabBytes,
                            weights);
        }
      }
      if (first >= 0) StoreSlab(staging + slab % 2 * kSlabBytes, first, rows - first, to, aligned);
    }
  }
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_WGMMA_STORE_CUH_
