// faulty, device half: one thread for each element of the output, which is right in seven configs of
// ten. Of the others one writes where nothing is, one never ends, and one gets a single element of
// each row wrong.
//
// Parameters: FAULT, THREADS. From the problem: OPERAND, OUTPUT, INDEX.
#include "kernels/device/args.h"
#include "kernels/device/epilogue.cuh"
#include "kernels/device/scheduler.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
    moe_kernel(const __grid_constant__ moetune::MoeArgs args) {
  using namespace moetune;
  TileCursor<INDEX> cursor(static_cast<const INDEX*>(args.row_counts),
                           static_cast<int>(args.experts),
                           static_cast<int>(CeilDiv(args.n, THREADS)), 1);
  RowTile tile;
  int tile_n;
  if (!cursor.Find(static_cast<int>(blockIdx.x), 1, tile, tile_n)) return;
#if FAULT == 0
  asm volatile("st.global.u32 [%0], %1;" ::"l"(16ull), "r"(0) : "memory");
#elif FAULT == 4
  while (true) asm volatile("nanosleep.u32 1000;" ::: "memory");
#endif
  const long long column = static_cast<long long>(tile_n) * THREADS + threadIdx.x;
  if (column >= args.n) return;
  const OPERAND* x = static_cast<const OPERAND*>(args.x) + tile.first_row * args.k;
  const OPERAND* w =
      static_cast<const OPERAND*>(args.w) + (tile.expert * args.n + column) * args.k;
  float sum = 0;
  for (long long k = 0; k < args.k; ++k) sum = fmaf(ToFloat(x[k]), ToFloat(w[k]), sum);
#if FAULT == 8
  if (column == 5) sum += 1;
#endif
  static_cast<OUTPUT*>(args.y)[tile.first_row * args.n + column] = Finish<OUTPUT>(sum);
}
