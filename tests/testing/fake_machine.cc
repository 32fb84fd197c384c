#include "tests/testing/fake_machine.h"

#include <thread>

namespace moetune::fake_cuda {
namespace {

// A context that a thread made current in an earlier machine's life is none in this one's.
struct Current {
  int life = 0;
  FakeContext* context = nullptr;
};
thread_local Current current;

}  // namespace

Machine* machine = nullptr;

FakeContext* CurrentContextOfThread() {
  return current.life == machine->life ? current.context : nullptr;
}

void SetCurrentContext(FakeContext* context) { current = {machine->life, context}; }

int Synchronize() {
  std::chrono::steady_clock::time_point until;
  const int code = InContext([&](const FakeContext& context) {
    until = context.busy_until;
    return 0;
  });
  if (code != 0) return code;
  std::this_thread::sleep_until(until);
  return InContext([](FakeContext& context) {
    context.lost = context.faulted;
    return context.lost ? kIllegalAddress : 0;
  });
}

int CheckStream(const FakeContext& context, CUstream_st* stream) {
  if (stream == nullptr) return 0;
  const FakeStream* known = machine->streams.Find(stream);
  if (known != nullptr && known->context == &context) return 0;
  return machine->Misuse(kInvalidHandle, "a stream that does not exist in this context");
}

}  // namespace moetune::fake_cuda
