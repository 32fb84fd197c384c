// Compares two spans of memory bit for bit, and answers whether they differ. No kernel of a family;
// the tuner launches it on the outputs of candidates (runtime/comparison.h).
#ifndef MOETUNE_KERNELS_DEVICE_COMPARE_CUH_
#define MOETUNE_KERNELS_DEVICE_COMPARE_CUH_

namespace moetune {

struct CompareArgs {
  const void* left;  // both begin at a multiple of 16
  const void* right;
  unsigned long long bytes;
  unsigned* differ;  // 1 is written where they do, else nothing
};

__device__ inline unsigned Difference(const uint4& a, const uint4& b) {
  return (a.x ^ b.x) | (a.y ^ b.y) | (a.z ^ b.z) | (a.w ^ b.w);
}

extern "C" __global__ void moe_kernel(const CompareArgs args) {
  const auto* left = static_cast<const uint4*>(args.left);
  const auto* right = static_cast<const uint4*>(args.right);
  const unsigned long long threads = static_cast<unsigned long long>(gridDim.x) * blockDim.x;
  const unsigned long long thread =
      static_cast<unsigned long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const unsigned long long count = args.bytes / 16;
  unsigned difference = 0;
  unsigned long long i = thread;
  // Eight loads in flight for each thread.
  for (; i + 3 * threads < count; i += 4 * threads) {
    uint4 a[4], b[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      a[j] = left[i + j * threads];
      b[j] = right[i + j * threads];
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) difference |= Difference(a[j], b[j]);
  }
  for (; i < count; i += threads) difference |= Difference(left[i], right[i]);
  // The bytes that are no whole 16.
  for (i = count * 16 + thread; i < args.bytes; i += threads) {
    difference |= static_cast<const unsigned char*>(args.left)[i] ^
                  static_cast<const unsigned char*>(args.right)[i];
  }
  if (difference != 0) *args.differ = 1;
}

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_COMPARE_CUH_
