// The PTX instructions that kernels use, one function each. sm_80 and later.
#ifndef MOETUNE_KERNELS_DEVICE_PTX_CUH_
#define MOETUNE_KERNELS_DEVICE_PTX_CUH_

#include "kernels/device/numeric.cuh"

namespace moetune {

// Where the launch's dynamic shared memory begins, in the shared address space.
__device__ __forceinline__ unsigned DynamicSharedMemory() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  return static_cast<unsigned>(__cvta_generic_to_shared(dynamic_shared));
}

// Copies 16 bytes to shared memory past L1, or writes 16 zero bytes without reading.
__device__ __forceinline__ void CopyAsync16(unsigned target, const void* source, bool read) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(read ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void CopyAsyncCommit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most PENDING of this thread's latest groups are under way.
template <int PENDING>
__device__ __forceinline__ void CopyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// 8x8 matrices of 16-bit elements: lanes 8i..8i+7 give the row addresses of matrix i; lane 4g + t
// gets elements 2t and 2t + 1 of row g of each.
__device__ __forceinline__ void LoadMatrix4(unsigned (&fragment)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void LoadMatrix2(unsigned (&fragment)[2], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(fragment[0]), "=r"(fragment[1])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ unsigned TransposeMatrix(unsigned fragment) {
  unsigned result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(fragment));
  return result;
}

// acc (16x8, fp32) += a (16x16) * b (16x8). Lane 4g + t holds columns 2t, 2t + 1 of rows g and g
// + 8.
template <typename T>
__device__ __forceinline__ void Mma16x8x16(float (&acc)[4], const unsigned (&a)[4],
                                           const unsigned (&b)[2]);
template <>
__device__ __forceinline__ void Mma16x8x16<bf16>(float (&acc)[4], const unsigned (&a)[4],
                                                 const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void Mma16x8x16<fp16>(float (&acc)[4], const unsigned (&a)[4],
                                                 const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_PTX_CUH_
