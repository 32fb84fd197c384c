// The PTX of sm_90a that kernels use, one function each: mbarriers, clusters, TMA. Addresses are in
// the shared address space of this CTA.
#ifndef MOETUNE_KERNELS_DEVICE_HOPPER_CUH_
#define MOETUNE_KERNELS_DEVICE_HOPPER_CUH_

#include "kernels/device/args.h"

namespace moetune {

// One lane of a converged warp.
__device__ __forceinline__ bool ElectOne() {
  unsigned elected;
  asm volatile("{.reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p;}" : "=r"(elected));
  return elected != 0;
}

// ---- mbarriers: a phase ends when `count` arrivals and all expected bytes have come.

__device__ __forceinline__ void BarrierInit(unsigned barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
// Makes initialised barriers visible to the other CTAs of the cluster and to TMA.
__device__ __forceinline__ void BarrierInitFence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void BarrierArrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void BarrierArriveExpect(unsigned barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
// Arrives at the barrier of the same address in CTA `cta` of the cluster.
__device__ __forceinline__ void BarrierArriveAt(unsigned barrier, int cta) {
  asm volatile(
      "{.reg .b32 remote; mapa.shared::cluster.u32 remote, %0, %1; "
      "mbarrier.arrive.shared::cluster.b64 _, [remote];}" ::"r"(barrier),
      "r"(cta)
      : "memory");
}
// Arrives once this thread's earlier cp.async copies have come; a pending arrival of the barrier's
// count.
__device__ __forceinline__ void CopyAsyncArrive(unsigned barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}
// Waits until the phase of this parity has ended.
__device__ __forceinline__ void BarrierWait(unsigned barrier, int parity) {
  asm volatile(
      "{.reg .pred done; \n"
      "wait: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1; \n"
      "@!done bra wait;}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
// A barrier of `threads` threads, all of whole warps, that call it with this id.
__device__ __forceinline__ void NamedBarrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Counts this thread there without waiting.
__device__ __forceinline__ void NamedBarrierArrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- clusters

__device__ __forceinline__ int ClusterRank() {
  int rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ void ClusterSync() {
  asm volatile("barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}

// ---- registers of a warpgroup

template <int COUNT>
__device__ __forceinline__ void RaiseRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT>
__device__ __forceinline__ void LowerRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

// ---- the asynchronous proxy: TMA and wgmma see shared memory through it

// Makes this thread's ordinary writes to shared memory visible to it.
__device__ __forceinline__ void AsyncProxyFence() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void PrefetchMap(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// Of a copy: the L2 lets go of what it reads first.
__device__ __forceinline__ unsigned long long EvictFirst() {
  unsigned long long policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

// Copies the map's box at the coordinates to shared memory; its bytes count at `barrier`.
__device__ __forceinline__ void LoadBox2(unsigned target, const TensorMap& map, unsigned barrier,
                                         int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4}], [%2];" ::"r"(target),
      "l"(&map), "r"(barrier), "r"(c0), "r"(c1)
      : "memory");
}
__device__ __forceinline__ void LoadBox3(unsigned target, const TensorMap& map, unsigned barrier,
                                         int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(target),
      "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void LoadBox3(unsigned target, const TensorMap& map, unsigned barrier,
                                         int c0, int c1, int c2, unsigned long long policy) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%4, %5, %6}], [%2], %3;" ::"r"(target),
      "l"(&map), "r"(barrier), "l"(policy), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void LoadBox5(unsigned target, const TensorMap& map, unsigned barrier,
                                         int c0, int c1, int c2, int c3, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(target),
      "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}
__device__ __forceinline__ void LoadBox5(unsigned target, const TensorMap& map, unsigned barrier,
                                         int c0, int c1, int c2, int c3, int c4,
                                         unsigned long long policy) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%4, %5, %6, %7, %8}], [%2], %3;" ::"r"(target),
      "l"(&map), "r"(barrier), "l"(policy), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}
// The same, to the same place in every CTA of `mask`, and counted at the same barrier of each.
__device__ __forceinline__ void MulticastBox3(unsigned target, const TensorMap& map,
                                              unsigned barrier, unsigned short mask, int c0, int c1,
                                              int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%4, %5, %6}], [%2], %3;" ::"r"(target),
      "l"(&map), "r"(barrier), "h"(mask), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void MulticastBox5(unsigned target, const TensorMap& map,
                                              unsigned barrier, unsigned short mask, int c0, int c1,
                                              int c2, int c3, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%4, %5, %6, %7, %8}], [%2], %3;" ::"r"(target),
      "l"(&map), "r"(barrier), "h"(mask), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}

// ---- stmatrix: 8x8 matrices of 16-bit elements, transposed: element (row, column) of lane
// 4 * row + column / 2 goes to 16-byte row `column`. Lanes 8i..8i+7 give the row addresses of
// matrix i.
__device__ __forceinline__ void StoreMatrixTransposed(unsigned address, const unsigned (&m)[4]) {
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
      "r"(m[0]), "r"(m[1]), "r"(m[2]), "r"(m[3])
      : "memory");
}
__device__ __forceinline__ void StoreMatrixTransposed(unsigned address, const unsigned (&m)[2]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(address),
               "r"(m[0]), "r"(m[1])
               : "memory");
}
__device__ __forceinline__ void StoreMatrixTransposed(unsigned address, const unsigned (&m)[1]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(address),
               "r"(m[0])
               : "memory");
}

__device__ __forceinline__ void LoadShared16(unsigned (&words)[4], unsigned address) {
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address)
               : "memory");
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_HOPPER_CUH_
