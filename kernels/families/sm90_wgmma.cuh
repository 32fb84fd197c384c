// sm90_wgmma, device half: wgmma fed by TMA and cp.async, for sm_90a.
//
// A persistent, warp-specialised kernel. Warpgroup 0 is the producer: it finds the CTA's tiles
// (wgmma_walk.cuh), hands them to the others, and fills a ring of STAGES stages, each BLOCK_N rows
// of W and BLOCK_M rows of X by BLOCK_K columns. CONSUMERS warpgroups multiply. W is wgmma's
// operand of 64 rows and X that of 8 to 192, so that a tile is as wide as the expert has tokens, to
// the next TAIL_STEP; an expert's rows are split evenly (expert_tiles.cuh).
//
//   PINGPONG 0   all consumers share a tile: each has BLOCK_N / CONSUMERS rows of W
//   PINGPONG 1   consumers take turns: one stores its tile while the other multiplies the next
//   CLUSTER 2    two CTAs work on the same rows of W, on half of the tokens each, and each reads
//                half of W for both
//
// What says in which order tiles are made comes with the launch (LaunchArgs).
//
// A stage's life: empty -> the producer starts its copies -> full, once TMA's bytes have come and
// with gather all copies of its threads -> consumers multiply -> each warp of theirs arrives at
// empty, in both CTAs. Gathered rows are written by cp.async, which is not the proxy that wgmma
// reads through: consumers fence between the two.
//
// From the problem: OPERAND, OUTPUT, INDEX, WEIGHT, and FUSE_GATHER, FUSE_SCATTER, FUSE_SCALE,
// FUSE_SWIGLU, FUSE_PREACT, FUSE_COMBINE.
#include "kernels/device/args.h"
#include "kernels/device/combine.cuh"
#include "kernels/device/wgmma.cuh"
#include "kernels/device/wgmma_producer.cuh"
#include "kernels/device/wgmma_store.cuh"
#include "kernels/device/wgmma_tile.cuh"

namespace moetune {

// A consumer warpgroup.
class Consumer {
 public:
  __device__ __forceinline__ Consumer(const MoeArgs& args, const Shared& shared)
      : args_(args),
        shared_(shared),
        group_(static_cast<int>(threadIdx.x) / 128 - 1),
        targets_(shared.targets + group_ * BLOCK_M),
        weights_(shared.weights + group_ * BLOCK_M) {}

  __device__ __forceinline__ void Run() {
    const int steps = static_cast<int>((args_.k + BLOCK_K - 1) / BLOCK_K);
    for (int turn = 0;; ++turn) {
      const TokenTile tile = shared_.tiles.Take(turn);
      if (tile.rows < 0) return;
      if (PINGPONG && turn % CONSUMERS != group_) {
        ring_.Skip(steps);
        continue;
      }
      if (PINGPONG && turn > 0) NamedBarrier(kTurnBarrier + group_, 256);
      MakeTile(tile, steps);
    }
  }

 private:
  using Accumulators = float[kBlocks][BLOCK_M / 2];

  __device__ __forceinline__ void MakeTile(const TokenTile& tile, int steps) {
    if (tile.rows == 0) return PassStages(steps);
    Accumulators acc;  // the first product sets them
    Targets targets;
    targets.LoadRows(args_, tile);
    MultiplyNarrowest<kNarrowest>(acc, tile, steps, targets);
    Store(acc, tile, targets);
  }

  // With the narrowest product that holds the tile's rows.
  template <int N>
  __device__ __forceinline__ void MultiplyNarrowest(Accumulators& acc, const TokenTile& tile,
                                                    int steps, Targets& targets) {
    if constexpr (N < BLOCK_M) {
      if (tile.rows > N) return MultiplyNarrowest<NextWidth(N)>(acc, tile, steps, targets);
    }
    Multiply<N>(acc, steps, targets);
  }

  // The other CTA of the cluster has all tokens of this tile.
  __device__ __forceinline__ void PassStages(int steps) {
    for (int step = 0; step < steps; ++step) {
      BarrierWait(shared_.full + ring_.stage * 8, ring_.parity);
      Release(ring_.stage);
      ring_.Advance();
    }
    PassTurn();
  }

  // All steps of k. One product of kGroupK columns stays under way: so a stage is waited for when
  // the last product of the one before is, and not a whole stage earlier.
  template <int N>
  __device__ __forceinline__ void Multiply(Accumulators& acc, int steps, Targets& targets) {
    PinRegisters<N / 2>(acc);
    int held = -1;  // the stage before, until its last product is over
#pragma unroll 1  // there is a copy of the loop for each width: unrolled it takes twice the compile
    for (int step = 0; step < steps; ++step) {
      const unsigned stage = shared_.stages + ring_.stage * kStageBytes;
      BarrierWait(shared_.full + ring_.stage * 8, ring_.parity);
      if (FUSE_GATHER) AsyncProxyFence();
      MultiplyStage<N>(acc, stage, step, held);
      if (step == 1) targets.LoadWeights(args_);  // the rows have come by now
      held = ring_.stage;
      ring_.Advance();
    }
    PassTurn();
    WgmmaWait<0>();
    PinRegisters<N / 2>(acc);
    Release(held);
    if (steps == 1) targets.LoadWeights(args_);
  }

  template <int N>
  __device__ __forceinline__ void MultiplyStage(Accumulators& acc, unsigned stage, int step,
                                                int held) {
    const int first_w = PINGPONG ? 0 : group_ * kBlocks * 64;
    const unsigned long long w = TileDescriptor(stage + first_w * 128);
    const unsigned long long x = TileDescriptor(stage + kBytesW);
#pragma unroll 1
    for (int column = 0; column < BLOCK_K; column += kGroupK) {
      const int box = column / 64;
      const int offset = column % 64 / 8;  // in units of 16 bytes
      MultiplyGroup<N>(acc, w + (box * BLOCK_N * 8 + offset), x + (box * BLOCK_M * 8 + offset),
                       step + column);
      WgmmaCommit();
      WgmmaWait<1>();
      if (column == 0 && held >= 0) Release(held);
    }
  }

  // Adds to what the accumulators hold unless `add` is 0.
  template <int N>
  __device__ __forceinline__ void MultiplyGroup(Accumulators& acc, unsigned long long w,
                                                unsigned long long x, int add) {
    WgmmaFence();
#pragma unroll
    for (int i = 0; i < kGroupK / 16; ++i) {
#pragma unroll
      for (int b = 0; b < kBlocks; ++b) {
        Wgmma<OPERAND, N>::Run(acc[b], w + (b * 64 * 8 + i * 2), x + i * 2, i > 0 ? 1 : add);
      }
    }
  }

  // Lets the other consumer wait for stages: only one may, or it could take an earlier phase of a
  // stage for its own.
  __device__ __forceinline__ void PassTurn() const {
    if (PINGPONG) NamedBarrierArrive(kTurnBarrier + 1 - group_, 256);
  }

  // This warp has read a stage.
  __device__ __forceinline__ void Release(int stage) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const unsigned empty = shared_.empty + stage * 8;
    if (CLUSTER > 1) {
      if (lane < CLUSTER) BarrierArriveAt(empty, lane);
    } else if (lane == 0) {
      BarrierArrive(empty);
    }
  }

  __device__ __forceinline__ void Store(const Accumulators& acc, const TokenTile& tile,
                                        const Targets& targets) const {
    const int barrier = kGroupBarrier + group_;
    const unsigned staging = shared_.staging + group_ * 2 * kSlabBytes;
    NamedBarrier(barrier, 128);  // the last tile's slabs and targets are read
    if (Targets::kUsed) {
      targets.Share(targets_, weights_);
      NamedBarrier(barrier, 128);
    }
    const int columns = static_cast<int>(FUSE_SWIGLU ? args_.n / 2 : args_.n);
    const int first_column = (PINGPONG ? tile.tile_n : tile.tile_n * CONSUMERS + group_) * kColumns;
    const int* targets_of_tile = FUSE_SCATTER ? targets_ : nullptr;
    Destination to = {TargetTensor<OUTPUT, FUSE_COMBINE>(args_),
                      columns,
                      first_column,
                      columns,
                      targets_of_tile,
                      tile.first_row};
    StoreTile<Part::kOutput>(acc, tile.rows, to, weights_, staging, barrier);
    if constexpr (FUSE_PREACT) {
      NamedBarrier(barrier, 128);  // the slabs are read
      to.base = static_cast<OUTPUT*>(args_.preact);
      to.pitch = args_.n;
      StoreTile<Part::kGate>(acc, tile.rows, to, weights_, staging, barrier);
      NamedBarrier(barrier, 128);
      to.base += columns;
      StoreTile<Part::kUp>(acc, tile.rows, to, weights_, staging, barrier);
    }
  }

  const MoeArgs& args_;
  const Shared& shared_;
  int group_;
  int* targets_;
  float* weights_;
  Ring ring_;
};

}  // namespace moetune

extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(moetune::kThreads, 1)
    moe_kernel(const __grid_constant__ moetune::MoeArgs args,
               const __grid_constant__ moetune::LaunchArgs launch,
               const __grid_constant__ moetune::TensorMaps maps) {
  using namespace moetune;
  const Shared shared;
  const int rank = CLUSTER > 1 ? ClusterRank() : 0;
  if (threadIdx.x == 32) {  // beside the warp that makes the table
    PrefetchMap(maps.w);
    if (!FUSE_GATHER) PrefetchMap(maps.x);
    for (int stage = 0; stage < STAGES; ++stage) {
      BarrierInit(shared.full + stage * 8, kArrivalsFull);
      BarrierInit(shared.empty + stage * 8, kArrivalsEmpty);
    }
    shared.tiles.Init(kWarpsOnTiles);
    BarrierInitFence();
  }
  const int experts = static_cast<int>(args.experts);
  MakeExpertTable<kThreads>(static_cast<const INDEX*>(args.row_counts), experts,
                            GridOf(args, launch), launch.sort != 0, shared.table);
  if (CLUSTER > 1) ClusterSync();
  if (threadIdx.x < 128) {
    LowerRegisters<kProducerRegisters>();
    Produce(args, launch, maps, shared, rank);
  } else {
    RaiseRegisters<kConsumerRegisters>();
    Consumer(args, shared).Run();
  }
  if (CLUSTER > 1) ClusterSync();  // until then the other CTA may arrive here
}
