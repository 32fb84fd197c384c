#include "tests/testing/cuda_emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ASAN 1
#endif
#endif
#ifdef EMULATOR_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuda_emulator {
namespace {

constexpr int kWarpSize = 32;
constexpr size_t kStackBytes = 64 * 1024;

// A stack with what runs on it. AddressSanitizer has to be told of every switch.
struct Context {
  ucontext_t registers = {};
  const void* stack = nullptr;
  size_t stack_bytes = 0;
  void* fake_stack = nullptr;
};

void Switch(Context& from, Context& to, [[maybe_unused]] bool from_ends) {
#ifdef EMULATOR_ASAN
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);
#endif
  swapcontext(&from.registers, &to.registers);
#ifdef EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

// Threads that wait for each other, any number of times.
struct Barrier {
  std::string_view name;
  int64_t members = 0;
  int64_t arrivals = 0;  // of all its uses together
};

struct Warp {
  Barrier barrier;
  uint64_t values[2][kWarpSize];  // of the odd and of the even uses of the barrier
};

struct Fiber {
  Context context;
  std::unique_ptr<std::byte[]> stack;
  bool done = false;
  const Barrier* waits_at = nullptr;
  int64_t awaited_arrivals = 0;
};

class Cta {
 public:
  Cta(const moetune::Plan& plan, const std::function<void()>& body, ThreadOrder order);

  absl::Status Run(Index block);

  Index grid() const { return grid_; }
  Index block() const { return block_; }
  int thread() const { return current_; }
  unsigned threads() const { return static_cast<unsigned>(fibers_.size()); }
  Warp& warp() { return warps_[current_ / kWarpSize]; }
  Barrier& barrier() { return barrier_; }

  // Returns when all members of the barrier have arrived.
  void Arrive(Barrier& barrier);
  // Stops the CTA; does not return.
  void Fail(std::string message);

 private:
  static void Main();
  bool Runnable(const Fiber& fiber) const;
  void SwitchAway();

  const std::function<void()>& body_;
  const int step_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  const Index grid_;
  Barrier barrier_;
  Context scheduler_;
  Index block_;
  int current_ = 0;
  std::string failure_;
};

thread_local Cta* cta = nullptr;

Cta::Cta(const moetune::Plan& plan, const std::function<void()>& body, ThreadOrder order)
    : body_(body),
      step_(order == ThreadOrder::kAscending ? 1 : plan.threads - 1),
      fibers_(plan.threads),
      warps_((plan.threads + kWarpSize - 1) / kWarpSize),
      grid_{static_cast<unsigned>(plan.grid[0]), static_cast<unsigned>(plan.grid[1]),
            static_cast<unsigned>(plan.grid[2])} {
  // AddressSanitizer clears the stack that a context names before it switches there. That of the
  // scheduler is not the emulator's: a size that it takes for insane keeps it off.
  scheduler_.registers.uc_stack.ss_size = size_t{1} << 30;
  for (Fiber& fiber : fibers_) {
    fiber.stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
    fiber.context.stack = fiber.stack.get();
    fiber.context.stack_bytes = kStackBytes;
  }
}

void Cta::Main() {
#ifdef EMULATOR_ASAN
  const void* stack = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
  if (cta->scheduler_.stack == nullptr) {  // it started the first fiber
    cta->scheduler_.stack = stack;
    cta->scheduler_.stack_bytes = bytes;
  }
#endif
  cta->body_();
  cta->fibers_[cta->current_].done = true;
  cta->SwitchAway();
}

bool Cta::Runnable(const Fiber& fiber) const {
  if (fiber.done) return false;
  return fiber.waits_at == nullptr || fiber.waits_at->arrivals >= fiber.awaited_arrivals;
}

// To the next thread that can run, else to the scheduler.
void Cta::SwitchAway() {
  Fiber& from = fibers_[current_];
  const int threads = static_cast<int>(fibers_.size());
  for (int next = (current_ + step_) % threads; next != current_; next = (next + step_) % threads) {
    if (Runnable(fibers_[next])) {
      current_ = next;
      Switch(from.context, fibers_[next].context, from.done);
      return;
    }
  }
  Switch(from.context, scheduler_, from.done);
}

void Cta::Arrive(Barrier& barrier) {
  Fiber& fiber = fibers_[current_];
  fiber.waits_at = &barrier;
  fiber.awaited_arrivals = (barrier.arrivals++ / barrier.members + 1) * barrier.members;
  if (!Runnable(fiber)) SwitchAway();
  fiber.waits_at = nullptr;
}

void Cta::Fail(std::string message) {
  failure_ = std::move(message);
  Switch(fibers_[current_].context, scheduler_, false);
}

absl::Status Cta::Run(Index block) {
  block_ = block;
  barrier_ = {.name = "__syncthreads", .members = static_cast<int64_t>(fibers_.size())};
  for (size_t i = 0; i < warps_.size(); ++i) {
    const int64_t lanes = barrier_.members - static_cast<int64_t>(i) * kWarpSize;
    warps_[i].barrier = {.name = "a warp function", .members = std::min<int64_t>(lanes, kWarpSize)};
  }
  for (Fiber& fiber : fibers_) {
    fiber.done = false;
    fiber.waits_at = nullptr;
    getcontext(&fiber.context.registers);
    fiber.context.registers.uc_stack = {
        .ss_sp = fiber.stack.get(), .ss_flags = 0, .ss_size = kStackBytes};
    makecontext(&fiber.context.registers, &Cta::Main, 0);
  }
  current_ = step_ == 1 ? 0 : static_cast<int>(fibers_.size()) - 1;
  Switch(scheduler_, fibers_[current_].context, false);

  const std::string where = absl::StrFormat("CTA %d,%d,%d", block.x, block.y, block.z);
  if (!failure_.empty()) {
    return absl::InternalError(absl::StrFormat("%s, thread %d: %s", where, current_, failure_));
  }
  for (size_t i = 0; i < fibers_.size(); ++i) {
    if (fibers_[i].done) continue;
    const Barrier& barrier = *fibers_[i].waits_at;
    return absl::InternalError(
        absl::StrFormat("%s hangs: thread %d waits in %s, which %d of %d threads reached", where, i,
                        barrier.name, barrier.arrivals % barrier.members, barrier.members));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Launch(const moetune::Plan& plan, const std::function<void()>& thread_body,
                    ThreadOrder order) {
  Cta emulated(plan, thread_body, order);
  cta = &emulated;
  absl::Status status;
  for (unsigned z = 0; z < plan.grid[2]; ++z) {
    for (unsigned y = 0; y < plan.grid[1]; ++y) {
      for (unsigned x = 0; x < plan.grid[0] && status.ok(); ++x) status = emulated.Run({x, y, z});
    }
  }
  cta = nullptr;
  return status;
}

Index ThreadIdx() { return {.x = static_cast<unsigned>(cta->thread())}; }
Index BlockIdx() { return cta->block(); }
Index BlockDim() { return {cta->threads(), 1, 1}; }
Index GridDim() { return cta->grid(); }

void SyncThreads() { cta->Arrive(cta->barrier()); }

const uint64_t* ExchangeInWarp(unsigned mask, uint64_t value) {
  if (mask != 0xffffffffu) cta->Fail(absl::StrFormat("mask %#x is not that of a full warp", mask));
  Warp& warp = cta->warp();
  // A lane can be one exchange ahead of another, never two: two buffers suffice.
  const int64_t use = warp.barrier.arrivals / warp.barrier.members;
  warp.values[use % 2][cta->thread() % kWarpSize] = value;
  cta->Arrive(warp.barrier);
  return warp.values[use % 2];
}

unsigned Ballot(unsigned mask, bool predicate) {
  Warp& warp = cta->warp();
  const uint64_t* predicates = ExchangeInWarp(mask, uint64_t{predicate});
  unsigned ballot = 0;
  for (int lane = 0; lane < warp.barrier.members; ++lane) {
    ballot |= static_cast<unsigned>(predicates[lane]) << lane;
  }
  return ballot;
}

}  // namespace cuda_emulator
