// wgmma: a warpgroup's product of two tiles in shared memory, for 16-bit operands and fp32
// accumulators. sm_90a.
#ifndef MOETUNE_KERNELS_DEVICE_WGMMA_CUH_
#define MOETUNE_KERNELS_DEVICE_WGMMA_CUH_

#include "kernels/device/numeric.cuh"

namespace moetune {

// The descriptor of a tile whose rows are 128 bytes of k each, under the 128-byte swizzle: groups
// of 8 rows are 1024 bytes apart. Columns of k further on: add their bytes / 16.
__device__ __forceinline__ unsigned long long TileDescriptor(unsigned address) {
  constexpr unsigned long long kSwizzle128 = 1ull << 62;
  constexpr unsigned long long kGroupPitch = static_cast<unsigned long long>(1024 >> 4) << 32;
  return kSwizzle128 | kGroupPitch | (1ull << 16) | ((address & 0x3ffff) >> 4);
}

__device__ __forceinline__ void WgmmaFence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void WgmmaCommit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int PENDING>
__device__ __forceinline__ void WgmmaWait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Keeps the compiler from moving accesses of accumulators over this point, as it may where it
// cannot see that wgmma is still writing them.
template <int USED, int BLOCKS, int COUNT>
__device__ __forceinline__ void PinRegisters(float (&acc)[BLOCKS][COUNT]) {
#pragma unroll
  for (int b = 0; b < BLOCKS; ++b) {
#pragma unroll
    for (int i = 0; i < USED; ++i) asm volatile("" : "+f"(acc[b][i])::"memory");
  }
}

// acc (64 x N) = a (64 x 16) * b (N x 16)ᵀ, and with `add` what it was before. Warp w, lane 4g + t
// holds in acc[4j + 2h + e] row 16w + g + 8h, column 8j + 2t + e.
template <typename T, int N>
struct Wgmma;

// Lists of accumulator registers and of the operands that hold them: four for each 8 columns.
#define MOE_R1 "%0,%1,%2,%3"
#define MOE_R2 MOE_R1 ",%4,%5,%6,%7"
#define MOE_R3 MOE_R2 ",%8,%9,%10,%11"
#define MOE_R4 MOE_R3 ",%12,%13,%14,%15"
#define MOE_R5 MOE_R4 ",%16,%17,%18,%19"
#define MOE_R6 MOE_R5 ",%20,%21,%22,%23"
#define MOE_R7 MOE_R6 ",%24,%25,%26,%27"
#define MOE_R8 MOE_R7 ",%28,%29,%30,%31"
#define MOE_R9 MOE_R8 ",%32,%33,%34,%35"
#define MOE_R10 MOE_R9 ",%36,%37,%38,%39"
#define MOE_R11 MOE_R10 ",%40,%41,%42,%43"
#define MOE_R12 MOE_R11 ",%44,%45,%46,%47"
#define MOE_R13 MOE_R12 ",%48,%49,%50,%51"
#define MOE_R14 MOE_R13 ",%52,%53,%54,%55"
#define MOE_R15 MOE_R14 ",%56,%57,%58,%59"
#define MOE_R16 MOE_R15 ",%60,%61,%62,%63"
#define MOE_R17 MOE_R16 ",%64,%65,%66,%67"
#define MOE_R18 MOE_R17 ",%68,%69,%70,%71"
#define MOE_R19 MOE_R18 ",%72,%73,%74,%75"
#define MOE_R20 MOE_R19 ",%76,%77,%78,%79"
#define MOE_R21 MOE_R20 ",%80,%81,%82,%83"
#define MOE_R22 MOE_R21 ",%84,%85,%86,%87"
#define MOE_R23 MOE_R22 ",%88,%89,%90,%91"
#define MOE_R24 MOE_R23 ",%92,%93,%94,%95"
#define MOE_FOUR(i) "+f"(acc[i]), "+f"(acc[i + 1]), "+f"(acc[i + 2]), "+f"(acc[i + 3])
#define MOE_O1 MOE_FOUR(0)
#define MOE_O2 MOE_O1, MOE_FOUR(4)
#define MOE_O3 MOE_O2, MOE_FOUR(8)
#define MOE_O4 MOE_O3, MOE_FOUR(12)
#define MOE_O5 MOE_O4, MOE_FOUR(16)
#define MOE_O6 MOE_O5, MOE_FOUR(20)
#define MOE_O7 MOE_O6, MOE_FOUR(24)
#define MOE_O8 MOE_O7, MOE_FOUR(28)
#define MOE_O9 MOE_O8, MOE_FOUR(32)
#define MOE_O10 MOE_O9, MOE_FOUR(36)
#define MOE_O11 MOE_O10, MOE_FOUR(40)
#define MOE_O12 MOE_O11, MOE_FOUR(44)
#define MOE_O13 MOE_O12, MOE_FOUR(48)
#define MOE_O14 MOE_O13, MOE_FOUR(52)
#define MOE_O15 MOE_O14, MOE_FOUR(56)
#define MOE_O16 MOE_O15, MOE_FOUR(60)
#define MOE_O17 MOE_O16, MOE_FOUR(64)
#define MOE_O18 MOE_O17, MOE_FOUR(68)
#define MOE_O19 MOE_O18, MOE_FOUR(72)
#define MOE_O20 MOE_O19, MOE_FOUR(76)
#define MOE_O21 MOE_O20, MOE_FOUR(80)
#define MOE_O22 MOE_O21, MOE_FOUR(84)
#define MOE_O23 MOE_O22, MOE_FOUR(88)
#define MOE_O24 MOE_O23, MOE_FOUR(92)

#define MOE_WGMMA(T, TYPES, N, A, B, ADD, REGISTERS, ...)                                      \
  template <>                                                                                  \
  struct Wgmma<T, N> {                                                                         \
    static __device__ __forceinline__ void Run(float* acc, unsigned long long a,               \
                                               unsigned long long b, int add) {                \
      asm volatile("{.reg .pred p; setp.ne.b32 p, " ADD                                        \
                   ", 0; wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPES " {" REGISTERS \
                   "}, " A ", " B ", p, 1, 1, 0, 0;}"                                          \
                   : __VA_ARGS__                                                               \
                   : "l"(a), "l"(b), "r"(add));                                                \
    }                                                                                          \
  };
#define MOE_WGMMA_OF(T, TYPES)                                    \
  MOE_WGMMA(T, TYPES, 8, "%4", "%5", "%6", MOE_R1, MOE_O1)        \
  MOE_WGMMA(T, TYPES, 16, "%8", "%9", "%10", MOE_R2, MOE_O2)      \
  MOE_WGMMA(T, TYPES, 24, "%12", "%13", "%14", MOE_R3, MOE_O3)    \
  MOE_WGMMA(T, TYPES, 32, "%16", "%17", "%18", MOE_R4, MOE_O4)    \
  MOE_WGMMA(T, TYPES, 40, "%20", "%21", "%22", MOE_R5, MOE_O5)    \
  MOE_WGMMA(T, TYPES, 48, "%24", "%25", "%26", MOE_R6, MOE_O6)    \
  MOE_WGMMA(T, TYPES, 56, "%28", "%29", "%30", MOE_R7, MOE_O7)    \
  MOE_WGMMA(T, TYPES, 64, "%32", "%33", "%34", MOE_R8, MOE_O8)    \
  MOE_WGMMA(T, TYPES, 72, "%36", "%37", "%38", MOE_R9, MOE_O9)    \
  MOE_WGMMA(T, TYPES, 80, "%40", "%41", "%42", MOE_R10, MOE_O10)  \
  MOE_WGMMA(T, TYPES, 88, "%44", "%45", "%46", MOE_R11, MOE_O11)  \
  MOE_WGMMA(T, TYPES, 96, "%48", "%49", "%50", MOE_R12, MOE_O12)  \
  MOE_WGMMA(T, TYPES, 104, "%52", "%53", "%54", MOE_R13, MOE_O13) \
  MOE_WGMMA(T, TYPES, 112, "%56", "%57", "%58", MOE_R14, MOE_O14) \
  MOE_WGMMA(T, TYPES, 120, "%60", "%61", "%62", MOE_R15, MOE_O15) \
  MOE_WGMMA(T, TYPES, 128, "%64", "%65", "%66", MOE_R16, MOE_O16) \
  MOE_WGMMA(T, TYPES, 136, "%68", "%69", "%70", MOE_R17, MOE_O17) \
  MOE_WGMMA(T, TYPES, 144, "%72", "%73", "%74", MOE_R18, MOE_O18) \
  MOE_WGMMA(T, TYPES, 152, "%76", "%77", "%78", MOE_R19, MOE_O19) \
  MOE_WGMMA(T, TYPES, 160, "%80", "%81", "%82", MOE_R20, MOE_O20) \
  MOE_WGMMA(T, TYPES, 168, "%84", "%85", "%86", MOE_R21, MOE_O21) \
  MOE_WGMMA(T, TYPES, 176, "%88", "%89", "%90", MOE_R22, MOE_O22) \
  MOE_WGMMA(T, TYPES, 184, "%92", "%93", "%94", MOE_R23, MOE_O23) \
  MOE_WGMMA(T, TYPES, 192, "%96", "%97", "%98", MOE_R24, MOE_O24)

MOE_WGMMA_OF(bf16, "bf16.bf16")
MOE_WGMMA_OF(fp16, "f16.f16")

}  // namespace moetune

#endif  // MOETUNE_KERNELS_DEVICE_WGMMA_CUH_
