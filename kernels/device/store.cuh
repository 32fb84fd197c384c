// From the accumulators of a warp to the output tensors.
//
// A warp's part of a tile is made of blocks of 8 rows by 8 columns, as mma leaves them:
// lane 4g + t holds columns 2t and 2t + 1 of row g or, where SWAPPED, rows 2t and 2t + 1 of column
// g. Fragments of 16 rows (8 where SWAPPED) are STEP rows apart. Four neighbouring lanes exchange
// their parts of four blocks, so that each stores 16 bytes of a row. With swiglu blocks of gate and
// of up alternate, and a pair of them makes one of the output.
//
// From the problem: OUTPUT, INDEX, WEIGHT, FUSE_*.
#ifndef MOETUNE_KERNELS_DEVICE_STORE_CUH_
#define MOETUNE_KERNELS_DEVICE_STORE_CUH_

#include "kernels/device/epilogue.cuh"
#include "kernels/device/ptx.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/scheduler.cuh"

namespace moetune {

// What a block of the output is stored to: y, or the halves of preact.
enum class Tensor { kY, kGate, kUp };

// `Accumulators` has At(m, n, e): element e (0, 1) of this lane in block (m, n).
template <typename Accumulators, int BLOCKS_M, int BLOCKS_N, bool SWAPPED, int STEP>
class Storer {
 public:
  // The part begins `first_row` rows into the tile, and at output column `first_n`.
  __device__ __forceinline__ Storer(const MoeArgs& args, const RowTile& rows, int first_row,
                                    int first_n)
      : args_(args),
        rows_(rows),
        first_row_(first_row),
        first_n_(first_n),
        columns_(static_cast<int>(OutputColumns<FUSE_SWIGLU>(args))),
        g_(threadIdx.x % 32 / 4),
        t_(threadIdx.x % 4) {}

  __device__ __forceinline__ void Store(const Accumulators& accumulators) const {
#pragma unroll
    for (int m = 0; m < BLOCKS_M; ++m) {
      if (FirstRow(m) >= rows_.rows) break;
      StoreBlocks<Tensor::kY>(accumulators, m);
      if constexpr (FUSE_PREACT) {
        StoreBlocks<Tensor::kGate>(accumulators, m);
        StoreBlocks<Tensor::kUp>(accumulators, m);
      }
    }
  }

 private:
  static constexpr int kBlocks = FUSE_SWIGLU ? BLOCKS_N / 2 : BLOCKS_N;  // of output columns

  // Of block m, in the tile.
  __device__ __forceinline__ int FirstRow(int m) const {
    return first_row_ + (SWAPPED ? m * STEP : m / 2 * STEP + m % 2 * 8);
  }

  template <Tensor TENSOR>
  __device__ __forceinline__ void StoreBlocks(const Accumulators& accumulators, int m) const {
    if constexpr (sizeof(OUTPUT) == 2) {
      StoreVectors<TENSOR>(accumulators, m);
    } else {
      StoreElements<TENSOR>(accumulators, m);
    }
  }

  // The output row of a row of the part; 0 past the expert's end.
  __device__ __forceinline__ int Target(int row) const {
    return row < rows_.rows ? TargetRow<INDEX, FUSE_SCATTER>(args_, rows_.first_row + row) : 0;
  }

  // Where a tensor's row begins.
  template <Tensor TENSOR>
  __device__ __forceinline__ OUTPUT* RowOf(long long target) const {
    if constexpr (TENSOR == Tensor::kY) {
      return TargetTensor<OUTPUT, FUSE_COMBINE>(args_) + target * columns_;
    } else {
      return static_cast<OUTPUT*>(args_.preact) + target * args_.n +
             (TENSOR == Tensor::kUp ? columns_ : 0);
    }
  }

  // Element e of block (m, n) of the output, before it is rounded.
  template <Tensor TENSOR>
  __device__ __forceinline__ float Value(const Accumulators& accumulators, int m, int n,
                                         int e) const {
    if constexpr (!FUSE_SWIGLU) return accumulators.At(m, n, e);
    const float gate = accumulators.At(m, 2 * n, e);
    const float up = accumulators.At(m, 2 * n + 1, e);
    return TENSOR == Tensor::kGate ? gate : TENSOR == Tensor::kUp ? up : Swiglu(gate, up);
  }

  // Of the output row.
  __device__ __forceinline__ WEIGHT Weight(int target) const {
    return static_cast<const WEIGHT*>(args_.scale)[target];
  }

  template <Tensor TENSOR>
  __device__ __forceinline__ void StoreElements(const Accumulators& accumulators, int m) const {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int row = FirstRow(m) + (SWAPPED ? t_ * 2 + e : g_);
      const int target = Target(row);
      OUTPUT* to = RowOf<TENSOR>(target);
#pragma unroll
      for (int n = 0; n < kBlocks; ++n) {
        const int column = first_n_ + n * 8 + (SWAPPED ? g_ : t_ * 2 + e);
        if (row >= rows_.rows || column >= columns_) continue;
        const float value = Value<TENSOR>(accumulators, m, n, e);
        to[column] =
            FUSE_SCALE ? FinishScaled<OUTPUT>(value, Weight(target)) : Finish<OUTPUT>(value);
      }
    }
  }

  // Rounds a block into one register a lane: columns 2t, 2t + 1 of row g.
  template <Tensor TENSOR>
  __device__ __forceinline__ unsigned PackBlock(const Accumulators& accumulators, int m, int n,
                                                const float (&weights)[2]) const {
    unsigned packed =
        Pack<OUTPUT>(Value<TENSOR>(accumulators, m, n, 0), Value<TENSOR>(accumulators, m, n, 1));
    if (FUSE_SCALE) packed = ScalePair<OUTPUT>(packed, weights[0], weights[1]);
    return SWAPPED ? TransposeMatrix(packed) : packed;
  }

  template <Tensor TENSOR>
  __device__ __forceinline__ void StoreVectors(const Accumulators& accumulators, int m) const {
    const int first = FirstRow(m);
    const int row = first + g_;
    const int target = Target(row);
    float weights[2] = {};
    if (FUSE_SCALE) {  // of this lane's accumulators, which before the transposition are other rows
      weights[0] = ToFloat(Weight(SWAPPED ? Target(first + t_ * 2) : target));
      weights[1] = SWAPPED ? ToFloat(Weight(Target(first + t_ * 2 + 1))) : weights[0];
    }
    OUTPUT* to = RowOf<TENSOR>(target);
    const bool aligned =
        columns_ % 8 == 0 && reinterpret_cast<unsigned long long>(RowOf<TENSOR>(0)) % 16 == 0;
#pragma unroll
    for (int n = 0; n < kBlocks; n += 4) {
      unsigned blocks[4] = {};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (n + j < kBlocks) blocks[j] = PackBlock<TENSOR>(accumulators, m, n + j, weights);
      }
      TransposeQuad(blocks);
      const int column = first_n_ + (n + t_) * 8;
      if (n + t_ >= kBlocks || row >= rows_.rows || column >= columns_) continue;
      if (aligned) {
        *reinterpret_cast<uint4*>(to + column) = {blocks[0], blocks[1], blocks[2], blocks[3]};
      } else {
        StoreRagged(to, column, blocks);
      }
    }
  }

  // 8 elements from `column` on, up to the end of the row.
  __device__ __forceinline__ void StoreRagged(OUTPUT* to, int column,
                                              const unsigned (&blocks)[4]) const {
    auto* bits = reinterpret_cast<unsigned short*>(to + column);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (column + i >= columns_) break;
      bits[i] = static_cast<unsigned short>(blocks[i / 2] >> (i % 2 * 16));
    }
  }

  const MoeArgs& args_;
  const RowTile& rows_;
  int first_row_;
  int first_n_;
  int columns_;
  int g_;
  int t_;
};

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_STORE_CUH_
