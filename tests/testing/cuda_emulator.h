// Runs CUDA C++ device text on the host, one CTA after the other, so that kernels are proven
// without a GPU. emulated_kernel.inc compiles the text; what it calls is declared here.
//
// Every CUDA thread is a fiber of the calling thread. It runs until it has to wait for the others,
// then the next one goes on: nothing depends on time, so a result repeats, and a missing barrier
// shows as a wrong one. Shared memory keeps what the CTA before left in it.
#ifndef MOETUNE_TESTS_TESTING_CUDA_EMULATOR_H_
#define MOETUNE_TESTS_TESTING_CUDA_EMULATOR_H_

#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#include "absl/status/status.h"
#include "kernels/family.h"

// Not within moetune: emulated_kernel.inc renames that namespace.
namespace cuda_emulator {

// Which thread goes first. A kernel without races gives the same in both.
enum class ThreadOrder { kAscending, kDescending };

// Calls `thread_body` once for every thread of the plan's grid. It may call the functions below
// and must not throw. Internal where a CTA hangs, or where a warp function is called as the
// emulator does not support; what ran before stays done.
absl::Status Launch(const moetune::Plan& plan, const std::function<void()>& thread_body,
                    ThreadOrder order = ThreadOrder::kAscending);

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
Index ThreadIdx();
Index BlockIdx();
Index BlockDim();
Index GridDim();

void SyncThreads();

// Waits for all lanes of the warp; then the values that they brought, one per lane, valid until the
// calling lane's next warp function. Only full masks are supported.
const uint64_t* ExchangeInWarp(unsigned mask, uint64_t value);

// The value that `source(lane)` brought, lane being the caller's.
template <typename T, typename Source>
T ShuffleFrom(unsigned mask, T value, const Source& source) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  const int lane = static_cast<int>(ThreadIdx().x % 32);
  std::memcpy(&value, &ExchangeInWarp(mask, bits)[source(lane)], sizeof(T));
  return value;
}

template <typename T>
T Shuffle(unsigned mask, T value, int source) {
  return ShuffleFrom(mask, value, [&](int) { return source % 32; });
}

template <typename T>
T ShuffleUp(unsigned mask, T value, int delta) {
  return ShuffleFrom(mask, value, [&](int lane) { return lane < delta ? lane : lane - delta; });
}

template <typename T>
T ShuffleXor(unsigned mask, T value, int bits) {
  return ShuffleFrom(mask, value, [&](int lane) { return lane ^ bits; });
}

unsigned Ballot(unsigned mask, bool predicate);

}  // namespace cuda_emulator

#endif  // MOETUNE_TESTS_TESTING_CUDA_EMULATOR_H_
