// Reads all of a buffer and writes nothing: what the memory of a device gives at best. No kernel of
// a family; `moetune devices --measure` launches it (runtime/read_probe.h).
#ifndef MOETUNE_KERNELS_DEVICE_READ_PROBE_CUH_
#define MOETUNE_KERNELS_DEVICE_READ_PROBE_CUH_

struct ReadProbeArgs {
  const uint4* data;
  unsigned long long count;  // of 16 bytes each
  unsigned* never;           // written if the xor of a thread's words is one certain value
};

extern "C" __global__ void moe_kernel(const ReadProbeArgs args) {
  const unsigned long long threads = static_cast<unsigned long long>(gridDim.x) * blockDim.x;
  unsigned long long i = static_cast<unsigned long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  unsigned sum = 0;
  // Four loads in flight for each thread.
  for (; i + 3 * threads < args.count; i += 4 * threads) {
    uint4 words[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) words[j] = args.data[i + j * threads];
#pragma unroll
    for (int j = 0; j < 4; ++j) sum ^= words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
  }
  for (; i < args.count; i += threads) {
    const uint4 word = args.data[i];
    sum ^= word.x ^ word.y ^ word.z ^ word.w;
  }
  if (sum == 0x9E3779B9u) *args.never = sum;
}

#endif  // MOETUNE_KERNELS_DEVICE_READ_PROBE_CUH_
