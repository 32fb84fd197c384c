#include "tests/testing/fake_cuda.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_format.h"
#include "tests/testing/fake_machine.h"

namespace moetune {
namespace fake_cuda {
namespace {

const DeviceSpec& DeviceOf(int ordinal) {
  return machine->script.devices[static_cast<size_t>(ordinal)];
}

int CheckOrdinal(int ordinal) {
  const bool exists = ordinal >= 0 && ordinal < static_cast<int>(machine->contexts.size());
  return exists ? 0 : kInvalidDevice;
}

const char* ErrorText(int code) {
  switch (code) {
    case kInvalidValue:
      return "invalid argument";
    case kOutOfMemory:
      return "out of memory";
    case kNoBinaryForGpu:
      return "no kernel image is available for execution on the device";
    case kIllegalAddress:
      return "an illegal memory access was encountered";
    case kLaunchOutOfResources:
      return "too many resources requested for launch";
    default:
      return "fake driver error";
  }
}

int Initialise() { return machine->contexts.empty() ? kNoDevice : 0; }

int ReadVersion(int* version) {
  *version = 13000;
  return 0;
}

int CountDevices(int* count) {
  *count = static_cast<int>(machine->contexts.size());
  return 0;
}

int ReadDeviceName(int ordinal, char* name, int size) {
  if (int code = CheckOrdinal(ordinal)) return code;
  std::snprintf(name, static_cast<size_t>(size), "%s", DeviceOf(ordinal).name.c_str());
  return 0;
}

int64_t AttributeOf(const DeviceSpec& device, DeviceAttribute attribute) {
  switch (attribute) {
    case DeviceAttribute::kComputeCapabilityMajor:
      return device.compute_capability / 10;
    case DeviceAttribute::kComputeCapabilityMinor:
      return device.compute_capability % 10;
    case DeviceAttribute::kSmCount:
      return device.sm_count;
    case DeviceAttribute::kSharedBytesPerBlock:
      return device.shared_bytes_per_block;
    case DeviceAttribute::kSharedBytesPerSm:
      return device.shared_bytes_per_sm;
    case DeviceAttribute::kRegistersPerSm:
      return device.registers_per_sm;
    case DeviceAttribute::kL2Bytes:
      return device.l2_bytes;
  }
  return 0;
}

int ReadAttribute(int ordinal, DeviceAttribute attribute, int* value) {
  if (int code = CheckOrdinal(ordinal)) return code;
  *value = static_cast<int>(AttributeOf(DeviceOf(ordinal), attribute));
  return 0;
}

int ReadDeviceMemory(int ordinal, size_t* bytes) {
  if (int code = CheckOrdinal(ordinal)) return code;
  *bytes = static_cast<size_t>(DeviceOf(ordinal).memory_bytes);
  return 0;
}

int ReadPciAddress(int ordinal, char* text, int size) {
  if (int code = CheckOrdinal(ordinal)) return code;
  std::snprintf(text, static_cast<size_t>(size), "0000:%02X:00.0", ordinal + 1);
  return 0;
}

int AcquireContext(int ordinal, CUctx_st** context) {
  const std::lock_guard lock(machine->mutex);
  if (int code = CheckOrdinal(ordinal)) return code;
  FakeContext& acquired = machine->contexts[static_cast<size_t>(ordinal)];
  if (acquired.lost) return kIllegalAddress;
  ++acquired.references;
  SetCurrentContext(&acquired);
  *context = reinterpret_cast<CUctx_st*>(&acquired);
  return 0;
}

int ReleaseContext(int ordinal) {
  const std::lock_guard lock(machine->mutex);
  if (int code = CheckOrdinal(ordinal)) return code;
  FakeContext& context = machine->contexts[static_cast<size_t>(ordinal)];
  if (context.references == 0) {
    return machine->Misuse(kInvalidContext, "a context released more often than acquired");
  }
  --context.references;
  return 0;
}

int MakeCurrent(CUctx_st* context) {
  SetCurrentContext(reinterpret_cast<FakeContext*>(context));
  return 0;
}

int GetCurrent(CUctx_st** context) {
  *context = reinterpret_cast<CUctx_st*>(CurrentContextOfThread());
  return 0;
}

int ExchangeCaptureMode(CaptureMode* mode) {
  thread_local CaptureMode of_thread = CaptureMode::kGlobal;
  std::swap(of_thread, *mode);
  return 0;
}

int Allocate(DeviceAddress* address, size_t bytes) {
  return InContext([&](FakeContext& context) {
    size_t used = 0;
    for (const auto& [begin, allocation] : machine->allocations) {
      if (allocation.ordinal == context.ordinal) used += allocation.bytes;
    }
    if (bytes == 0) return kInvalidValue;
    if (used + bytes > static_cast<size_t>(DeviceOf(context.ordinal).memory_bytes)) {
      return kOutOfMemory;
    }
    constexpr size_t kAlignment = 256;  // as the driver's
    void* memory =
        std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (memory == nullptr) return kOutOfMemory;
    *address = reinterpret_cast<DeviceAddress>(memory);
    machine->allocations[*address] = {bytes, context.ordinal};
    return 0;
  });
}

int Free(DeviceAddress address) {
  const std::lock_guard lock(machine->mutex);
  if (machine->allocations.erase(address) == 0) {
    return machine->Misuse(kInvalidValue, "memory freed that is not allocated");
  }
  std::free(reinterpret_cast<void*>(address));
  const FakeContext* context = CurrentContextOfThread();
  if (context == nullptr) return machine->Misuse(kInvalidContext, "memory freed in no context");
  return context->lost ? kIllegalAddress : 0;
}

int CopyToDevice(DeviceAddress target, const void* source, size_t bytes) {
  return InContext([&](const FakeContext&) {
    if (!machine->Holds(target, bytes)) {
      return machine->Misuse(kInvalidValue, "a copy to the device past an allocation");
    }
    std::memcpy(reinterpret_cast<void*>(target), source, bytes);
    return 0;
  });
}

int Download(void* target, DeviceAddress source, size_t bytes) {
  if (!machine->Holds(source, bytes)) {
    return machine->Misuse(kInvalidValue, "a copy to the host past an allocation");
  }
  std::memcpy(target, reinterpret_cast<const void*>(source), bytes);
  machine->downloaded_bytes += bytes;
  return 0;
}

int CopyToHost(void* target, DeviceAddress source, size_t bytes) {
  if (int code = Synchronize()) return code;
  return InContext([&](const FakeContext&) { return Download(target, source, bytes); });
}

int AllocateHost(void** memory, size_t bytes) {
  return InContext([&](const FakeContext&) {
    *memory = std::malloc(bytes);
    machine->locked[*memory] = bytes;
    return 0;
  });
}

int FreeHost(void* memory) {
  const std::lock_guard lock(machine->mutex);
  if (machine->locked.erase(memory) == 0) {
    return machine->Misuse(kInvalidValue, "locked memory freed that is not allocated");
  }
  std::free(memory);
  return 0;
}

int CopyToLocked(void* target, DeviceAddress source, size_t bytes, CUstream_st* stream) {
  return InContext([&](const FakeContext& context) {
    if (int code = CheckStream(context, stream)) return code;
    const auto locked = machine->locked.find(target);
    if (locked == machine->locked.end() || bytes > locked->second) {
      return machine->Misuse(kInvalidValue, "a copy to host memory that is not locked");
    }
    return Download(target, source, bytes);
  });
}

void Spend(FakeContext& context, size_t bytes, double gbps) {
  context.now_us += static_cast<double>(bytes) / (gbps * 1e3);
}

int CopyOnDevice(DeviceAddress target, DeviceAddress source, size_t bytes, CUstream_st* stream) {
  return InContext([&](FakeContext& context) {
    if (int code = CheckStream(context, stream)) return code;
    if (!machine->Holds(target, bytes) || !machine->Holds(source, bytes)) {
      return machine->Misuse(kInvalidValue, "a copy on the device past an allocation");
    }
    std::memmove(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes);
    Spend(context, 2 * bytes, DeviceOf(context.ordinal).copy_gbps);  // read and written
    return 0;
  });
}

int Fill(DeviceAddress target, uint8_t value, size_t bytes, CUstream_st* stream) {
  return InContext([&](FakeContext& context) {
    if (int code = CheckStream(context, stream)) return code;
    if (!machine->Holds(target, bytes)) {
      return machine->Misuse(kInvalidValue, "a fill past an allocation");
    }
    std::memset(reinterpret_cast<void*>(target), value, bytes);
    Spend(context, bytes, DeviceOf(context.ordinal).write_gbps);
    return 0;
  });
}

constexpr DriverApi kApi = {
    .error_text = ErrorText,
    .init = Initialise,
    .version = ReadVersion,
    .device_count = CountDevices,
    .device_name = ReadDeviceName,
    .device_attribute = ReadAttribute,
    .device_memory = ReadDeviceMemory,
    .device_pci_address = ReadPciAddress,
    .context_acquire = AcquireContext,
    .context_release = ReleaseContext,
    .context_make_current = MakeCurrent,
    .context_get_current = GetCurrent,
    .exchange_capture_mode = ExchangeCaptureMode,
    .allocate = Allocate,
    .free = Free,
    .copy_to_device = CopyToDevice,
    .copy_to_host = CopyToHost,
    .host_allocate = AllocateHost,
    .host_free = FreeHost,
    .copy_to_locked = CopyToLocked,
    .copy_on_device = CopyOnDevice,
    .fill = Fill,
    .module_load = LoadModule,
    .module_unload = UnloadModule,
    .module_function = FindFunction,
    .function_allow_shared = AllowShared,
    .function_resident_ctas = CountResidentCtas,
    .launch = Launch,
    .stream_create = CreateStream,
    .stream_destroy = DestroyStream,
    .stream_synchronize = SynchronizeStream,
    .stream_id = ReadStreamId,
    .stream_capturing = IsCapturing,
    .event_create = CreateEvent,
    .event_destroy = DestroyEvent,
    .event_record = RecordEvent,
    .event_synchronize = SynchronizeEvent,
    .event_elapsed_ms = ReadElapsed,
};

}  // namespace
}  // namespace fake_cuda

using fake_cuda::machine;

FakeCuda::FakeCuda(FakeScript script) {
  static int lives = 0;
  if (machine != nullptr) std::abort();  // one at a time
  machine = new fake_cuda::Machine{.script = std::move(script), .life = ++lives};
  machine->random.seed(machine->script.seed);
  for (size_t i = 0; i < machine->script.devices.size(); ++i) {
    machine->contexts.push_back({.ordinal = static_cast<int>(i)});
  }
}

FakeCuda::~FakeCuda() {
  const std::vector<std::string> misuse = TakeMisuse();
  const bool in_test = testing::UnitTest::GetInstance()->current_test_info() != nullptr;
  for (const std::string& what : misuse) {
    if (in_test) ADD_FAILURE() << "fake CUDA: " << what;
    if (!in_test) std::fprintf(stderr, "fake CUDA: %s\n", what.c_str());
  }
  if (!in_test && !misuse.empty()) std::abort();
  for (const auto& [address, allocation] : machine->allocations) {
    std::free(reinterpret_cast<void*>(address));
  }
  delete std::exchange(machine, nullptr);
}

const DriverApi& FakeCuda::api() const { return fake_cuda::kApi; }

std::vector<FakeCuda::Launched> FakeCuda::launches() const {
  const std::lock_guard lock(machine->mutex);
  return machine->launches;
}

int FakeCuda::loaded_modules() const {
  const std::lock_guard lock(machine->mutex);
  return static_cast<int>(machine->modules.size());
}

std::vector<std::string> FakeCuda::TakeMisuse() {
  const std::lock_guard lock(machine->mutex);
  std::vector<std::string> misuse = std::exchange(machine->misuse, {});
  const auto leak = [&](size_t count, std::string_view what) {
    if (count > 0) misuse.push_back(absl::StrFormat("%d %s not released", count, what));
  };
  leak(machine->allocations.size(), "allocations");
  leak(machine->locked.size(), "locked allocations");
  leak(machine->modules.size(), "modules");
  leak(machine->events.size(), "events");
  leak(machine->streams.size(), "streams");
  for (const fake_cuda::FakeContext& context : machine->contexts) {
    leak(static_cast<size_t>(context.references), "references to a context");
  }
  return misuse;
}

}  // namespace moetune
