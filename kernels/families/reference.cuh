// reference, device half: a shared-memory tiled product in fp32 FMAs. It takes any shape, alignment
// and dtype on sm_75 and later, and every other family is verified against it.
//
// One CTA makes one BLOCK_M x BLOCK_N tile of one expert. Each step loads BLOCK_K columns of the
// tile's X and W rows into shared memory as fp32, k-major, and every thread adds them to its own
// THREAD_M x THREAD_N accumulators. k runs in ascending order in every config, so all configs agree
// bit for bit.
//
// Parameters: BLOCK_M, BLOCK_N, BLOCK_K, THREADS. From the problem: OPERAND, OUTPUT, INDEX, WEIGHT,
// FUSE_GATHER, FUSE_SCATTER, FUSE_SCALE, FUSE_SWIGLU, FUSE_PREACT, FUSE_COMBINE.
#include "kernels/device/args.h"
#include "kernels/device/combine.cuh"
#include "kernels/device/epilogue.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/scheduler.cuh"

namespace moetune {

constexpr int kPerThread = BLOCK_M * BLOCK_N / THREADS;
constexpr int kThreadN = kPerThread >= 32 ? 8 : 4;
constexpr int kThreadM = kPerThread / kThreadN;
constexpr int kThreadsN = BLOCK_N / kThreadN;
static_assert(kThreadM >= 1 && (BLOCK_M / kThreadM) * kThreadsN == THREADS,
              "threads cover the tile");
static_assert(FUSE_GATHER + FUSE_SCATTER <= 1 && FUSE_COMBINE <= FUSE_SCALE &&
                  FUSE_SCALE <= FUSE_SCATTER && FUSE_PREACT <= FUSE_SWIGLU,
              "#if takes a missing parameter for 0; this does not");

// Output columns of a tile. With swiglu each group of 4 that a thread owns is 2 of gate and the
// same 2 of up.
constexpr int kTileColumns = FUSE_SWIGLU ? BLOCK_N / 2 : BLOCK_N;
constexpr int kGranule = 2;

// Pitches of the k-major tiles: 4 floats of padding keep 16-byte alignment and spread the banks.
constexpr int kPitchA = BLOCK_M + 4;
constexpr int kPitchB = BLOCK_N + 4;

// Element `i` of thread `thread` along an axis of EXTENT elements, PER_THREAD each: groups of 4 are
// contiguous, so that a fragment is read 16 bytes at a time without bank conflicts.
template <int EXTENT, int PER_THREAD>
MOE_CONSTEXPR int FragmentIndex(int thread, int i) {
  constexpr int kGroup = PER_THREAD < 4 ? PER_THREAD : 4;
  return i / kGroup * (EXTENT / (PER_THREAD / kGroup)) + thread * kGroup + i % kGroup;
}

struct SharedTiles {
  alignas(16) float a[BLOCK_K * kPitchA];
  alignas(16) float b[BLOCK_K * kPitchB];
  int source_row[BLOCK_M];  // row of X of each tile row; -1 past the expert's end
};

// Loads columns [k0, k0 + BLOCK_K) of the tile's rows; what lies outside the problem becomes zero.
// X's zeros are negative: adding -0 * 0 changes no sum, not even one of -0, so the last step of k
// may be of any length.
__device__ __forceinline__ void LoadStep(const MoeArgs& args, const OPERAND* w, int first_n, int k0,
                                         SharedTiles& shared) {
  const OPERAND* x = static_cast<const OPERAND*>(args.x);
  const int column = threadIdx.x % BLOCK_K;
  const bool in_k = k0 + column < args.k;
  const long long columns = OutputColumns<FUSE_SWIGLU>(args);
#pragma unroll 4
  for (int row = threadIdx.x / BLOCK_K; row < BLOCK_M; row += THREADS / BLOCK_K) {
    const long long source = shared.source_row[row];  // 64-bit: offsets in elements pass 2^31
    const bool valid = in_k && source >= 0;
    shared.a[column * kPitchA + row] = valid ? ToFloat(x[source * args.k + k0 + column]) : -0.0f;
  }
#pragma unroll 4
  for (int row = threadIdx.x / BLOCK_K; row < BLOCK_N; row += THREADS / BLOCK_K) {
    const long long n = first_n + (FUSE_SWIGLU ? PairedColumn<kGranule>(row) : row);
    const bool valid = in_k && n < columns;
    const long long w_row = FUSE_SWIGLU && IsUp<kGranule>(row) ? columns + n : n;
    shared.b[column * kPitchB + row] = valid ? ToFloat(w[w_row * args.k + k0 + column]) : 0.0f;
  }
}

__device__ __forceinline__ void MultiplyStep(const SharedTiles& shared, int thread_m, int thread_n,
                                             float (&acc)[kThreadM][kThreadN]) {
#pragma unroll 4
  for (int k = 0; k < BLOCK_K; ++k) {
    float a[kThreadM];
    float b[kThreadN];
#pragma unroll
    for (int i = 0; i < kThreadM; ++i) {
      a[i] = shared.a[k * kPitchA + FragmentIndex<BLOCK_M, kThreadM>(thread_m, i)];
    }
#pragma unroll
    for (int j = 0; j < kThreadN; ++j) {
      b[j] = shared.b[k * kPitchB + FragmentIndex<BLOCK_N, kThreadN>(thread_n, j)];
    }
#pragma unroll
    for (int i = 0; i < kThreadM; ++i) {
#pragma unroll
      for (int j = 0; j < kThreadN; ++j) acc[i][j] = fmaf(a[i], b[j], acc[i][j]);
    }
  }
}

// Stores element j of a thread's row, `row` being that of the output.
__device__ __forceinline__ void StoreElement(const MoeArgs& args, long long row, int first_n,
                                             int thread_n, int j, const float (&acc)[kThreadN]) {
  const int tile_n = FragmentIndex<BLOCK_N, kThreadN>(thread_n, j);
  const long long columns = OutputColumns<FUSE_SWIGLU>(args);
  const long long n = first_n + (FUSE_SWIGLU ? PairedColumn<kGranule>(tile_n) : tile_n);
  if (n >= columns) return;
  OUTPUT& y = TargetTensor<OUTPUT, FUSE_COMBINE>(args)[row * columns + n];
#if FUSE_SWIGLU
  if (IsUp<kGranule>(j)) return;
  const float gate = acc[j];
  const float up = acc[j + kGranule];
  y = FinishSwiglu<OUTPUT>(gate, up);
#if FUSE_PREACT
  OUTPUT* preact = static_cast<OUTPUT*>(args.preact) + row * args.n + n;
  preact[0] = Finish<OUTPUT>(gate);
  preact[columns] = Finish<OUTPUT>(up);
#endif
#elif FUSE_SCALE
  y = FinishScaled<OUTPUT>(acc[j], static_cast<const WEIGHT*>(args.scale)[row]);
#else
  y = Finish<OUTPUT>(acc[j]);
#endif
}

__device__ __forceinline__ void StoreTile(const MoeArgs& args, const RowTile& tile, int first_n,
                                          int thread_m, int thread_n,
                                          const float (&acc)[kThreadM][kThreadN]) {
#pragma unroll
  for (int i = 0; i < kThreadM; ++i) {
    const int row = FragmentIndex<BLOCK_M, kThreadM>(thread_m, i);
    if (row >= tile.rows) continue;
    const int target = TargetRow<INDEX, FUSE_SCATTER>(args, tile.first_row + row);
#pragma unroll
    for (int j = 0; j < kThreadN; ++j) StoreElement(args, target, first_n, thread_n, j, acc[i]);
  }
}

}  // namespace moetune

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    moe_kernel(const __grid_constant__ moetune::MoeArgs args) {
  using namespace moetune;
  __shared__ SharedTiles shared;

  TileCursor<INDEX> cursor(
      static_cast<const INDEX*>(args.row_counts), static_cast<int>(args.experts),
      static_cast<int>(CeilDiv(OutputColumns<FUSE_SWIGLU>(args), kTileColumns)), BLOCK_M);
  RowTile tile;
  int tile_n;
  if (!cursor.Find(static_cast<int>(blockIdx.x), 1, tile, tile_n)) return;
  const int first_n = tile_n * kTileColumns;
  for (int row = threadIdx.x; row < BLOCK_M; row += THREADS) {
    shared.source_row[row] =
        row < tile.rows ? SourceRow<INDEX, FUSE_GATHER>(args, tile.first_row + row) : -1;
  }

  const OPERAND* w = static_cast<const OPERAND*>(args.w) + args.n * args.k * tile.expert;
  const int thread_m = threadIdx.x / kThreadsN;
  const int thread_n = threadIdx.x % kThreadsN;
  float acc[kThreadM][kThreadN] = {};
  for (int k0 = 0; k0 < args.k; k0 += BLOCK_K) {
    __syncthreads();  // source_row is written; the tiles of the last step are read
    LoadStep(args, w, first_n, k0, shared);
    __syncthreads();
    MultiplyStep(shared, thread_m, thread_n, acc);
  }
  StoreTile(args, tile, first_n, thread_m, thread_n, acc);
}
