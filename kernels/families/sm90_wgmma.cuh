// sm90_wgmma, device half: wgmma fed by TMA and cp.async, for sm_90a.
//
// A persistent, warp-specialised kernel. Warpgroup 0 is the producer: it fills a ring of STAGES
// stages, each BLOCK_N rows of W and BLOCK_M rows of X by BLOCK_K columns. CONSUMERS warpgroups
// multiply. W is the operand of 64 rows and X that of N = 8 to 256, so that a tile has just as many
// tokens as the expert, to the next TAIL_STEP; an expert's rows are split evenly (expert_tiles.cuh).
//
//   cooperative  all consumers share a tile: each has BLOCK_N / CONSUMERS rows of W
//   pingpong     consumers take turns: one stores its tile while the other multiplies the next
//
// A cluster of two CTAs works on the same rows of W and half of the tokens each: each CTA reads
// half of W for both.
//
// A stage's life: empty -> the producer expects its bytes and starts the copies -> full (the bytes
// of TMA have come, and with gather the producer's four warps have seen theirs) -> consumers
// multiply -> each of their warps arrives at empty, of both CTAs.
//
// Parameters: BLOCK_M, BLOCK_N, BLOCK_K, STAGES, CONSUMERS, PINGPONG, CLUSTER, TAIL_STEP, SORT,
// BULK_STORE.
#include "kernels/device/args.h"
#include "kernels/device/epilogue.cuh"
#include "kernels/device/expert_tiles.cuh"
#include "kernels/device/hopper.cuh"
#include "kernels/device/ptx.cuh"
#include "kernels/device/rows.cuh"
#include "kernels/device/wgmma.cuh"

namespace moetune {

constexpr int kThreads = 128 * (1 + CONSUMERS);
constexpr int kGroups = PINGPONG ? 1 : CONSUMERS;      // warpgroups that share a tile
constexpr int kBlocksW = BLOCK_N / (64 * kGroups);     // 64-row blocks of W a warpgroup
constexpr int kBoxes = BLOCK_K / 64;                   // 128-byte wide boxes of a stage
constexpr int kBytesW = BLOCK_N * BLOCK_K * 2;
constexpr int kBytesX = BLOCK_M * BLOCK_K * 2;
constexpr int kStageBytes = kBytesW + kBytesX;
constexpr int kBoxRowsX = BLOCK_M < 16 ? BLOCK_M : 16;  // of one TMA copy of X
constexpr int kColumns = FUSE_SWIGLU ? 32 * kBlocksW : 64 * kBlocksW;  // of Y, of a warpgroup
constexpr int kSlab = BLOCK_M < 16 ? BLOCK_M : 16;  // tokens staged at once
constexpr int kPitch = kColumns * 2 + 16;               // of a staged token: no bank conflicts
constexpr int kSlabBytes = kSlab * kPitch;
constexpr int kArrivalsFull = 1 + (FUSE_GATHER ? 128 : 0);
constexpr int kArrivalsEmpty = 4 * kGroups * CLUSTER;
// Tiles are made 1/4, 1/2 and from there in steps of TAIL_STEP to all of BLOCK_M tokens wide: where
// rows are split evenly over tiles, most are more than half full.
constexpr int kNarrowest = BLOCK_M % 64 == 0 ? BLOCK_M / 4 : BLOCK_M % 32 == 0 ? BLOCK_M / 2 : BLOCK_M;
constexpr int kTurnBarrier = 1 + CONSUMERS;  // named barriers: one a consumer for its own, one for its turn
constexpr int kProducerRegisters = CONSUMERS == 3 && !FUSE_GATHER ? 32 : 56;
constexpr int kConsumerRegisters = CONSUMERS == 3 ? (FUSE_GATHER ? 152 : 160) : 224;

// The CTA's shared memory.
struct Shared {
  unsigned stages;
  unsigned staging;  // per consumer: two slabs
  unsigned full;     // STAGES barriers
  unsigned empty;
  int* targets;      // per consumer: BLOCK_M rows of Y
  float* weights;
  ExpertTiles* table;

  __device__ __forceinline__ Shared() {
    stages = DynamicSharedMemory();
    staging = stages + STAGES * kStageBytes;
    full = staging + CONSUMERS * 2 * kSlabBytes;
    empty = full + STAGES * 8;
    unsigned char* base = static_cast<unsigned char*>(__cvta_shared_to_generic(stages));
    base += STAGES * kStageBytes + CONSUMERS * 2 * kSlabBytes + STAGES * 16;
    targets = reinterpret_cast<int*>(base);
    weights = reinterpret_cast<float*>(base + CONSUMERS * BLOCK_M * 4);
    table = reinterpret_cast<ExpertTiles*>(base + CONSUMERS * BLOCK_M * 8);
  }
};

// A place in the ring of stages.
struct Ring {
  int stage = 0;
  int parity = 0;

  __device__ __forceinline__ void Advance() {
    if (++stage == STAGES) {
      stage = 0;
      parity ^= 1;
    }
  }
  __device__ __forceinline__ void Skip(int steps) {
    const int to = stage + steps;
    stage = to % STAGES;
    parity ^= to / STAGES & 1;
  }
};

// The tiles of this CTA's cluster in order.
class Walk {
 public:
  __device__ __forceinline__ Walk(const MoeArgs& args, const Shared& shared, int rank)
      : cursor_(shared.table, static_cast<int>(args.experts)),
        rank_(rank),
        tile_(static_cast<int>(blockIdx.x) / CLUSTER) {}

  __device__ __forceinline__ bool Next(TokenTile& tile) {
    ExpertTiles entry;
    int index;
    if (!cursor_.Find(tile_, entry, index)) return false;
    tile = TileOfTokens(entry, index, BLOCK_M, CLUSTER, rank_);
    tile_ += static_cast<int>(gridDim.x) / CLUSTER;
    return true;
  }

 private:
  TableCursor cursor_;
  int rank_;
  int tile_;
};

// Starts the copy of a stage's rows of W, this CTA's half of them to both CTAs of a cluster.
__device__ __forceinline__ void CopyW(const TensorMap& map, unsigned stage, unsigned full,
                                      const TokenTile& tile, int k0, int rank,
                                      unsigned long long policy) {
#pragma unroll
  for (int box = 0; box < kBoxes; ++box) {
    const unsigned target = stage + (box * BLOCK_N + rank * (BLOCK_N / CLUSTER)) * 128;
    const int k = k0 + box * 64;
    if constexpr (FUSE_SWIGLU) {
      const int block = tile.tile_n * (BLOCK_N / 16) + rank * (BLOCK_N / CLUSTER / 16);
      if constexpr (CLUSTER > 1) {
        MulticastBox5(target, map, full, 3, policy, k, 0, 0, block, tile.expert);
      } else {
        LoadBox5(target, map, full, policy, k, 0, 0, block, tile.expert);
      }
    } else {
      const int row = tile.tile_n * BLOCK_N + rank * (BLOCK_N / CLUSTER);
      if constexpr (CLUSTER > 1) {
        MulticastBox3(target, map, full, 3, policy, k, row, tile.expert);
      } else {
        LoadBox3(target, map, full, policy, k, row, tile.expert);
      }
    }
  }
}

// The rows of X of a tile, copied by all threads of the producer, 16 bytes at a time: eight
// neighbours copy a row.
class Gatherer {
 public:
  static constexpr int kPasses = (BLOCK_M + 15) / 16;

  __device__ __forceinline__ void Begin(const MoeArgs& args, const TokenTile& tile) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = static_cast<int>(threadIdx.x) / 8 + pass * 16;
      source_[pass] =
          row < tile.rows ? SourceRow<INDEX, true>(args, tile.first_row + row) : -1;
    }
  }

  __device__ __forceinline__ void Copy(const MoeArgs& args, unsigned stage, int k0) const {
    const int row = static_cast<int>(threadIdx.x) / 8;
    const int chunk = static_cast<int>(threadIdx.x) % 8;
    const unsigned target = stage + kBytesW + row * 128 + (chunk ^ row % 8) * 16;
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      if (source_[pass] < 0) break;
      const OPERAND* source = static_cast<const OPERAND*>(args.x) + static_cast<long long>(source_[pass]) * args.k;
#pragma unroll
      for (int box = 0; box < kBoxes; ++box) {
        const int k = k0 + box * 64 + chunk * 8;
        const bool read = k < args.k;
        CopyAsync16(target + (box * BLOCK_M + pass * 16) * 128, source + (read ? k : 0), read);
      }
    }
  }

 private:
  int source_[kPasses];
};

// Fills stages for all tiles: lane 0 of warp 0 through TMA, with gather all four warps.
__device__ __forceinline__ void Produce(const MoeArgs& args, const TensorMaps& maps,
                                        const Shared& shared, int rank) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (!FUSE_GATHER && warp != 0) return;
  const bool leader = warp == 0 && ElectOne();
  const unsigned long long once = EvictFirst();
  const unsigned long long normal = EvictNormal();
  Walk walk(args, shared, rank);
  Ring ring;
  TokenTile tile;
  Gatherer gatherer;
  while (walk.Next(tile)) {
    if (FUSE_GATHER) gatherer.Begin(args, tile);
    const int boxes_x = FUSE_GATHER ? 0 : (tile.rows + kBoxRowsX - 1) / kBoxRowsX;
    for (int k0 = 0; k0 < args.k; k0 += BLOCK_K) {
      const unsigned stage = shared.stages + ring.stage * kStageBytes;
      const unsigned full = shared.full + ring.stage * 8;
      BarrierWait(shared.empty + ring.stage * 8, ring.parity ^ 1);
      if (leader) {
        BarrierArriveExpect(full, kBytesW + boxes_x * kBoxRowsX * BLOCK_K * 2);
        CopyW(maps.w, stage, full, tile, k0, rank, tile.only ? once : normal);
        for (int i = 0; i < boxes_x; ++i) {
#pragma unroll
          for (int box = 0; box < kBoxes; ++box) {
            LoadBox2(stage + kBytesW + (box * BLOCK_M + i * kBoxRowsX) * 128, maps.x, full, normal,
                     k0 + box * 64, tile.first_row + i * kBoxRowsX);
          }
        }
      }
      if constexpr (FUSE_GATHER) {
        __syncwarp();
        gatherer.Copy(args, stage, k0);
        CopyAsyncArrive(full);
      }
      ring.Advance();
    }
  }
}

// Where the tokens of a tile go: loaded while the tile is multiplied, shared through memory after.
class Targets {
 public:
  static constexpr int kEach = (BLOCK_M + 127) / 128;  // tokens a thread
  static constexpr bool kUsed = FUSE_SCATTER || FUSE_SCALE;

  __device__ __forceinline__ void LoadRows(const MoeArgs& args, const TokenTile& tile) {
    if (!kUsed) return;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int row = static_cast<int>(threadIdx.x) % 128 + i * 128;
      rows_[i] = row < tile.rows ? TargetRow<INDEX, true>(args, tile.first_row + row) : 0;
    }
  }
  __device__ __forceinline__ void LoadWeights(const MoeArgs& args) {
    if (!FUSE_SCALE) return;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      weights_[i] = ToFloat(static_cast<const WEIGHT*>(args.scale)[rows_[i]]);
    }
  }
  // A barrier must follow.
  __device__ __forceinline__ void Share(int* targets, float* weights) const {
    if (!kUsed) return;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int row = static_cast<int>(threadIdx.x) % 128 + i * 128;
      if (BLOCK_M % 128 != 0 && row >= BLOCK_M) break;
      targets[row] = rows_[i];
      if constexpr (FUSE_SCALE) weights[row] = weights_[i];
    }
  }

 private:
  int rows_[kEach];
  float weights_[kEach];
};

// A consumer warpgroup.
class Consumer {
 public:
  __device__ __forceinline__ Consumer(const MoeArgs& args, const Shared& shared)
      : args_(args),
        shared_(shared),
        group_(static_cast<int>(threadIdx.x) / 128 - 1),
        staging_(shared.staging + group_ * 2 * kSlabBytes),
        targets_(shared.targets + group_ * BLOCK_M),
        weights_(shared.weights + group_ * BLOCK_M),
        columns_(static_cast<int>(FUSE_SWIGLU ? args.n / 2 : args.n)) {}

  __device__ __forceinline__ void Run(int rank) {
    Walk walk(args_, shared_, rank);
    const int steps = static_cast<int>((args_.k + BLOCK_K - 1) / BLOCK_K);
    TokenTile tile;
    for (int turn = 0; walk.Next(tile); ++turn) {
      if (PINGPONG && turn % CONSUMERS != group_) {
        ring_.Skip(steps);
        continue;
      }
      if (PINGPONG && turn > 0) NamedBarrier(kTurnBarrier + group_, 256);
      MakeTile<kNarrowest>(tile, steps);
    }
  }

 private:
  // The narrowest product that holds the tile's rows.
  template <int N>
  __device__ __forceinline__ void MakeTile(const TokenTile& tile, int steps) {
    if constexpr (N < BLOCK_M) {
      if (tile.rows > N) return MakeTile<N < BLOCK_M / 2 ? 2 * N : N + TAIL_STEP < BLOCK_M ? N + TAIL_STEP : BLOCK_M>(
          tile, steps);
    }
    if (tile.rows == 0) {
      for (int step = 0; step < steps; ++step) {
        BarrierWait(shared_.full + ring_.stage * 8, ring_.parity);
        Release(ring_.stage);
        ring_.Advance();
      }
      PassTurn();
      return;
    }
    float acc[kBlocksW][N / 2];
#pragma unroll
    for (int b = 0; b < kBlocksW; ++b) {
#pragma unroll
      for (int i = 0; i < N / 2; ++i) acc[b][i] = 0.0f;
    }
    PinRegisters(acc);
    Targets targets;
    targets.LoadRows(args_, tile);
    Multiply<N>(acc, steps, targets);
    targets.Share(targets_, weights_);
    Store<N>(acc, tile);
  }

  // All steps of k; one product stays under way.
  template <int N>
  __device__ __forceinline__ void Multiply(float (&acc)[kBlocksW][N / 2], int steps,
                                           Targets& targets) {
    int held = -1;
    for (int step = 0; step < steps; ++step) {
      const unsigned stage = shared_.stages + ring_.stage * kStageBytes;
      BarrierWait(shared_.full + ring_.stage * 8, ring_.parity);
      if (FUSE_GATHER) AsyncProxyFence();
      const int first_w = PINGPONG ? 0 : group_ * kBlocksW * 64;
      const unsigned long long w = TileDescriptor(stage + first_w * 128);
      const unsigned long long x = TileDescriptor(stage + kBytesW);
      WgmmaFence();
#pragma unroll
      for (int i = 0; i < BLOCK_K / 16; ++i) {
        const int box = i / 4;
        const int offset = i % 4 * 2;
#pragma unroll
        for (int b = 0; b < kBlocksW; ++b) {
          Wgmma<OPERAND, N>::Run(acc[b], w + (box * BLOCK_N + b * 64) * 8 + offset,
                                 x + box * BLOCK_M * 8 + offset);
        }
      }
      WgmmaCommit();
      WgmmaWait<1>();
      if (held >= 0) Release(held);
      if (step == 1) targets.LoadWeights(args_);
      held = ring_.stage;
      ring_.Advance();
    }
    PassTurn();
    WgmmaWait<0>();
    PinRegisters(acc);
    Release(held);
    if (steps == 1) targets.LoadWeights(args_);
  }

  // Lets the other consumer wait for stages: only one may, or it could take a stage's earlier phase
  // for its own.
  __device__ __forceinline__ void PassTurn() const {
    if (PINGPONG) NamedBarrierArrive(kTurnBarrier + 1 - group_, 256);
  }

  __device__ __forceinline__ void Release(int stage) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const unsigned empty = shared_.empty + stage * 8;
    if (CLUSTER > 1) {
      if (lane < CLUSTER) BarrierArriveAt(empty, lane);
    } else if (lane == 0) {
      BarrierArrive(empty);
    }
  }

  __device__ __forceinline__ void GroupBarrier() const { NamedBarrier(1 + group_, 128); }

  __device__ __forceinline__ long long Target(const TokenTile& tile, int row) const {
    return Targets::kUsed && FUSE_SCATTER ? targets_[row] : tile.first_row + row;
  }

  // Rounds one element of token `row` of the tile.
  template <typename Output>
  __device__ __forceinline__ Output FinishElement(float value, int row) const {
    if constexpr (FUSE_SCALE) {
      return FinishScaled<Output>(value, weights_[row]);
    } else {
      return Finish<Output>(value);
    }
  }

  template <int N>
  __device__ __forceinline__ void Store(const float (&acc)[kBlocksW][N / 2],
                                        const TokenTile& tile) const {
    const int column = FirstColumn(tile);
    if (Targets::kUsed) GroupBarrier();
    if constexpr (sizeof(OUTPUT) == 2) {
      StoreStaged<N>(acc, tile, column);
    } else {
      StoreDirect<N>(acc, tile, column);
    }
    if (Targets::kUsed) GroupBarrier();
  }

  __device__ __forceinline__ int FirstColumn(const TokenTile& tile) const {
    return (PINGPONG ? tile.tile_n : tile.tile_n * CONSUMERS + group_) * kColumns;
  }

  // Element by element: lane 4g + t has rows g, g + 8 of W and tokens 2t, 2t + 1 of each eight.
  template <int N>
  __device__ __forceinline__ void StoreDirect(const float (&acc)[kBlocksW][N / 2],
                                              const TokenTile& tile, int first_column) const {
    const int warp = static_cast<int>(threadIdx.x) % 128 / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    OUTPUT* y = static_cast<OUTPUT*>(args_.y);
#pragma unroll
    for (int b = 0; b < kBlocksW; ++b) {
#pragma unroll
      for (int i = 0; i < N / 2; ++i) {
        const int row = i / 4 * 8 + lane % 4 * 2 + i % 2;
        const int column = first_column + b * 64 + warp * 16 + lane / 4 + i / 2 % 2 * 8;
        if (row >= tile.rows || column >= columns_) continue;
        y[Target(tile, row) * columns_ + column] = FinishElement<OUTPUT>(acc[b][i], row);
      }
    }
  }

  // Through shared memory, a slab of tokens at a time, so that whole rows are stored.
  template <int N>
  __device__ __forceinline__ void StoreStaged(const float (&acc)[kBlocksW][N / 2],
                                              const TokenTile& tile, int first_column) const {
    constexpr int kTokens = N < kSlab ? N : kSlab;
    const bool aligned =
        columns_ % 8 == 0 && reinterpret_cast<unsigned long long>(args_.y) % 16 == 0;
#pragma unroll
    for (int first = 0; first < N; first += kTokens) {
      if (first >= tile.rows) break;
      const unsigned slab = staging_ + first / kTokens % 2 * kSlabBytes;
#pragma unroll
      for (int b = 0; b < kBlocksW; ++b) {
#pragma unroll
        for (int t = 0; t < kTokens && first + t < N; t += 16) StageTokens<N>(acc[b], b, first + t, slab + t * kPitch);
      }
      GroupBarrier();
      const int rows = tile.rows - first < kTokens ? tile.rows - first : kTokens;
      if (!aligned) {
        StoreSlabElements(slab, tile, first, rows, first_column);
      } else {
        StoreSlabVectors(slab, tile, first, rows, first_column);
      }
    }
  }

  // Rounds the accumulators of block b for 16 tokens (8 where the tile has no more) and stages
  // them, token by token.
  template <int N>
  __device__ __forceinline__ void StageTokens(const float (&acc)[N / 2], int b, int token,
                                              unsigned slab) const {
    constexpr int kEights = N < 16 ? 1 : 2;
    const int warp = static_cast<int>(threadIdx.x) % 128 / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    if constexpr (FUSE_SWIGLU) {
      unsigned packed[kEights];
#pragma unroll
      for (int j = 0; j < kEights; ++j) {
        const int i = (token / 8 + j) * 4;
        packed[j] = Pack<OUTPUT>(Swiglu(acc[i], acc[i + 2]), Swiglu(acc[i + 1], acc[i + 3]));
      }
      StoreMatrixTransposed(slab + lane % (8 * kEights) * kPitch + (b * 4 + warp) * 16, packed);
    } else {
      unsigned packed[2 * kEights];
#pragma unroll
      for (int j = 0; j < kEights; ++j) {
        const int row = token + j * 8 + lane % 4 * 2;
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int i = (token / 8 + j) * 4 + h * 2;
          packed[2 * j + h] = Pack<OUTPUT>(acc[i], acc[i + 1]);
          if constexpr (FUSE_SCALE) {
            packed[2 * j + h] = ScalePair<OUTPUT>(packed[2 * j + h], weights_[row], weights_[row + 1]);
          }
        }
      }
      const int row = lane / 16 % kEights * 8 + lane % 8;
      const int chunk = b * 8 + warp * 2 + lane / 8 % 2;
      StoreMatrixTransposed(slab + row * kPitch + chunk * 16, packed);
    }
  }

  __device__ __forceinline__ void StoreSlabVectors(unsigned slab, const TokenTile& tile, int first,
                                                   int rows, int first_column) const {
    constexpr int kChunks = kColumns / 8;
    constexpr int kRows = 128 / kChunks;  // at once
    const int thread = static_cast<int>(threadIdx.x) % 128;
    const int column = first_column + thread % kChunks * 8;
    OUTPUT* y = static_cast<OUTPUT*>(args_.y) + column;
#pragma unroll
    for (int i = 0; i < kSlab; i += kRows) {
      const int row = i + thread / kChunks;
      if (row >= rows || column >= columns_) break;
      uint4 value;
      asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                   : "r"(slab + row * kPitch + thread % kChunks * 16));
      *reinterpret_cast<uint4*>(y + Target(tile, first + row) * columns_) = value;
    }
  }

  __device__ __forceinline__ void StoreSlabElements(unsigned slab, const TokenTile& tile, int first,
                                                    int rows, int first_column) const {
    const int thread = static_cast<int>(threadIdx.x) % 128;
    for (int i = thread; i < rows * kColumns; i += 128) {
      const int row = i / kColumns;
      const int column = first_column + i % kColumns;
      if (column >= columns_) continue;
      unsigned short bits;
      asm volatile("ld.shared.u16 %0, [%1];" : "=h"(bits) : "r"(slab + row * kPitch + i % kColumns * 2));
      static_cast<unsigned short*>(args_.y)[Target(tile, first + row) * columns_ + column] = bits;
    }
  }

  const MoeArgs& args_;
  const Shared& shared_;
  int group_;
  unsigned staging_;
  int* targets_;
  float* weights_;
  int columns_;
  Ring ring_;
};

}  // namespace moetune

extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1)
    __launch_bounds__(moetune::kThreads, 1)
        moe_kernel(const __grid_constant__ moetune::MoeArgs args,
                   const __grid_constant__ moetune::TensorMaps maps) {
  using namespace moetune;
  const Shared shared;
  const int rank = CLUSTER > 1 ? ClusterRank() : 0;
  if (threadIdx.x == 0) {
    PrefetchMap(maps.w);
    if (!FUSE_GATHER) PrefetchMap(maps.x);
    for (int stage = 0; stage < STAGES; ++stage) {
      BarrierInit(shared.full + stage * 8, kArrivalsFull);
      BarrierInit(shared.empty + stage * 8, kArrivalsEmpty);
    }
    BarrierInitFence();
  }
  MakeExpertTable<SORT>(static_cast<const INDEX*>(args.row_counts), static_cast<int>(args.experts),
                        static_cast<int>(CeilDiv(args.n, BLOCK_N)), BLOCK_M * CLUSTER, 8 * CLUSTER,
                        shared.table, reinterpret_cast<int*>(shared.table + args.experts));
  if (CLUSTER > 1) ClusterSync();
  if (threadIdx.x < 128) {
    LowerRegisters<kProducerRegisters>();
    Produce(args, maps, shared, rank);
  } else {
    RaiseRegisters<kConsumerRegisters>();
    Consumer(args, shared).Run(rank);
  }
  if (CLUSTER > 1) ClusterSync();  // the other CTA may still arrive here
}
