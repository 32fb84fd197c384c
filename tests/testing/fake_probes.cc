// What the kernels do on FakeCuda that are no candidate's.
#include <cstring>

#include "runtime/clock_probe.h"
#include "runtime/comparison.h"
#include "tests/testing/fake_machine.h"

namespace moetune::fake_cuda {
namespace {

// Reads the device's clock, in CTAs that are an SM further after a launch.
int ReadClocks(const FakeContext& context, const Plan& plan, const void* args) {
  auto* readings = *static_cast<ClockReading* const*>(args);
  const size_t bytes = static_cast<size_t>(plan.grid[0]) * sizeof(ClockReading);
  if (!machine->Holds(reinterpret_cast<DeviceAddress>(readings), bytes)) {
    return machine->Misuse(kInvalidValue, "clock readings that are not device memory");
  }
  for (int64_t cta = 0; cta < plan.grid[0]; ++cta) {
    const uint64_t sm = static_cast<uint64_t>(cta) + machine->launches.size() % 2;
    readings[cta] = {.cycles = static_cast<uint64_t>(context.now_us * kSmClockMhz) + 1000 * sm,
                     .nanoseconds = static_cast<uint64_t>(context.now_us * 1e3),
                     .sm = sm};
  }
  return 0;
}

int Compare(const CompareArgs& args) {
  constexpr DeviceAddress kAlignment = 16;
  if (!machine->Holds(args.left, args.bytes) || !machine->Holds(args.right, args.bytes) ||
      !machine->Holds(args.differ, sizeof(uint32_t)) || args.left % kAlignment != 0 ||
      args.right % kAlignment != 0) {
    return machine->Misuse(kInvalidValue, "a comparison of what is no aligned device memory");
  }
  const auto* left = reinterpret_cast<const void*>(args.left);
  const auto* right = reinterpret_cast<const void*>(args.right);
  if (std::memcmp(left, right, args.bytes) != 0) *reinterpret_cast<uint32_t*>(args.differ) = 1;
  return 0;
}

}  // namespace

int LaunchProbe(const FakeContext& context, std::string_view probe, const Plan& plan,
                const void* args) {
  if (probe == CompareSource().path) return Compare(*static_cast<const CompareArgs*>(args));
  return ReadClocks(context, plan, args);
}

}  // namespace moetune::fake_cuda
