// The inside of FakeCuda: what the fictional GPUs hold, and how a driver call gets at it.
#ifndef MOETUNE_TESTS_TESTING_FAKE_MACHINE_H_
#define MOETUNE_TESTS_TESTING_FAKE_MACHINE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/testing/fake_cuda.h"
#include "tests/testing/fake_nvrtc.h"

namespace moetune::fake_cuda {

constexpr double kSmClockMhz = 1500;  // of every fictional GPU

struct FakeContext {
  int ordinal = 0;
  int references = 0;
  double now_us = 0;     // of the device
  bool faulted = false;  // an illegal access has happened, and nobody knows yet
  bool lost = false;     // somebody knows: every call fails
  std::chrono::steady_clock::time_point busy_until{};
};

struct FakeModule {
  FakeKernel kernel;
  FakeContext* context = nullptr;
  int64_t allowed_shared_bytes = 48 << 10;
};

struct FakeEvent {
  FakeContext* context = nullptr;
  std::optional<double> recorded_us;
};

struct FakeStream {
  FakeContext* context = nullptr;
};

struct Allocation {
  size_t bytes = 0;
  int ordinal = 0;
};

// Handles given out and not destroyed; the handle is the address of the object.
template <typename Object, typename Handle>
class Handles {
 public:
  Handle* Add(Object object) {
    auto owned = std::make_unique<Object>(std::move(object));
    auto* handle = reinterpret_cast<Handle*>(owned.get());
    objects_[handle] = std::move(owned);
    return handle;
  }
  Object* Find(Handle* handle) const {
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second.get();
  }
  bool Remove(Handle* handle) { return objects_.erase(handle) == 1; }
  size_t size() const { return objects_.size(); }

 private:
  std::map<Handle*, std::unique_ptr<Object>> objects_;
};

struct Machine {
  FakeScript script;
  int life = 0;
  std::mutex mutex;
  std::vector<FakeContext> contexts;
  std::map<DeviceAddress, Allocation> allocations;
  std::map<void*, size_t> locked;  // host memory, with its bytes
  size_t downloaded_bytes = 0;     // to the host, so far
  Handles<FakeModule, CUmod_st> modules;
  Handles<FakeEvent, CUevent_st> events;
  Handles<FakeStream, CUstream_st> streams;
  std::vector<FakeCuda::Launched> launches;
  std::vector<std::string> misuse;
  std::mt19937_64 random;

  int Misuse(int code, std::string what) {
    misuse.push_back(std::move(what));
    return code;
  }

  bool Holds(DeviceAddress address, size_t bytes) const {
    auto after = allocations.upper_bound(address);
    if (after == allocations.begin()) return false;
    const auto& [begin, allocation] = *std::prev(after);
    return bytes <= allocation.bytes && address - begin <= allocation.bytes - bytes;
  }
};

// What the functions of the table work on; null when there is no FakeCuda.
extern Machine* machine;

// The context of the calling thread; null when there is none.
FakeContext* CurrentContextOfThread();
void SetCurrentContext(FakeContext* context);

// Calls `body` with the thread's context, the machine locked; not without a context, nor with a
// lost one.
template <typename Body>
int InContext(const Body& body) {
  const std::lock_guard lock(machine->mutex);
  FakeContext* context = CurrentContextOfThread();
  if (context == nullptr) return kInvalidContext;
  return context->lost ? kIllegalAddress : body(*context);
}

// Waits until all work of the thread's context is done: the place where faults of the past show.
int Synchronize();

int CheckStream(const FakeContext& context, CUstream_st* stream);

// Modules, functions and launches: those functions of the table that are about kernels.
int LoadModule(CUmod_st** module, const void* image);
int UnloadModule(CUmod_st* module);
int FindFunction(CUfunc_st** function, CUmod_st* module, const char* name);
int AllowShared(CUfunc_st* function, int64_t bytes);
int CountResidentCtas(int* ctas, CUfunc_st* function, int threads, int64_t shared_bytes);
int Launch(CUfunc_st* function, const Plan& plan, const void* args, CUstream_st* stream);

// The kernel of the file `probe`; the machine is locked.
int LaunchProbe(const FakeContext& context, std::string_view probe, const Plan& plan,
                const void* args);

// Streams and events.
int CreateStream(CUstream_st** stream);
int DestroyStream(CUstream_st* stream);
int SynchronizeStream(CUstream_st* stream);
int ReadStreamId(CUstream_st* stream, uint64_t* id);
int IsCapturing(CUstream_st* stream, bool* capturing);
int CreateEvent(CUevent_st** event);
int DestroyEvent(CUevent_st* event);
int RecordEvent(CUevent_st* event, CUstream_st* stream);
int SynchronizeEvent(CUevent_st* event);
int ReadElapsed(float* ms, CUevent_st* start, CUevent_st* end);

}  // namespace moetune::fake_cuda

#endif  // MOETUNE_TESTS_TESTING_FAKE_MACHINE_H_
