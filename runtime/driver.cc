#include "runtime/driver.h"

#include <cuda.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "kernels/device/args.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// Types come from the header, names from the library: where cuda.h maps a name to a later version
// of the function (cuMemAlloc to cuMemAlloc_v2), the symbol is spelt out.
struct Functions {
  decltype(&cuGetErrorString) error_string;
  decltype(&cuInit) init;
  decltype(&cuDriverGetVersion) version;
  decltype(&cuDeviceGetCount) device_count;
  decltype(&cuDeviceGet) device_get;
  decltype(&cuDeviceGetName) device_name;
  decltype(&cuDeviceGetAttribute) device_attribute;
  decltype(&cuDeviceTotalMem) device_memory;
  decltype(&cuDeviceGetPCIBusId) device_pci_address;
  decltype(&cuDevicePrimaryCtxRetain) context_retain;
  decltype(&cuDevicePrimaryCtxRelease) context_release;
  decltype(&cuCtxSetCurrent) context_set_current;
  decltype(&cuCtxGetCurrent) context_get_current;
  decltype(&cuThreadExchangeStreamCaptureMode) exchange_capture_mode;
  decltype(&cuMemAlloc) allocate;
  decltype(&cuMemFree) free;
  decltype(&cuMemcpyHtoD) copy_to_device;
  decltype(&cuMemcpyDtoH) copy_to_host;
  decltype(&cuMemHostAlloc) host_allocate;
  decltype(&cuMemFreeHost) host_free;
  decltype(&cuMemcpyDtoHAsync) copy_to_locked;
  decltype(&cuMemcpyDtoDAsync) copy_on_device;
  decltype(&cuMemsetD8Async) fill;
  decltype(&cuModuleLoadData) module_load;
  decltype(&cuModuleUnload) module_unload;
  decltype(&cuModuleGetFunction) module_function;
  decltype(&cuFuncSetAttribute) function_set_attribute;
  decltype(&cuOccupancyMaxActiveBlocksPerMultiprocessor) resident_ctas;
  decltype(&cuTensorMapEncodeTiled) tensor_map_encode;  // null in a driver older than Hopper
  decltype(&cuLaunchKernel) launch;
  decltype(&cuStreamCreate) stream_create;
  decltype(&cuStreamDestroy) stream_destroy;
  decltype(&cuStreamSynchronize) stream_synchronize;
  decltype(&cuStreamGetId) stream_id;
  decltype(&cuStreamIsCapturing) stream_capturing;
  decltype(&cuEventCreate) event_create;
  decltype(&cuEventDestroy) event_destroy;
  decltype(&cuEventRecord) event_record;
  decltype(&cuEventSynchronize) event_synchronize;
  decltype(&cuEventElapsedTime) event_elapsed;
};

template <typename Function>
absl::Status Find(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  if (function != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("the NVIDIA driver is too old: libcuda.so.1 has no %s", symbol));
}

absl::Status FindDeviceFunctions(void* library, Functions& f) {
  RETURN_IF_ERROR(Find(library, "cuGetErrorString", f.error_string));
  RETURN_IF_ERROR(Find(library, "cuInit", f.init));
  RETURN_IF_ERROR(Find(library, "cuDriverGetVersion", f.version));
  RETURN_IF_ERROR(Find(library, "cuDeviceGetCount", f.device_count));
  RETURN_IF_ERROR(Find(library, "cuDeviceGet", f.device_get));
  RETURN_IF_ERROR(Find(library, "cuDeviceGetName", f.device_name));
  RETURN_IF_ERROR(Find(library, "cuDeviceGetAttribute", f.device_attribute));
  RETURN_IF_ERROR(Find(library, "cuDeviceTotalMem_v2", f.device_memory));
  RETURN_IF_ERROR(Find(library, "cuDeviceGetPCIBusId", f.device_pci_address));
  RETURN_IF_ERROR(Find(library, "cuDevicePrimaryCtxRetain", f.context_retain));
  RETURN_IF_ERROR(Find(library, "cuDevicePrimaryCtxRelease_v2", f.context_release));
  RETURN_IF_ERROR(Find(library, "cuCtxSetCurrent", f.context_set_current));
  RETURN_IF_ERROR(Find(library, "cuCtxGetCurrent", f.context_get_current));
  return Find(library, "cuThreadExchangeStreamCaptureMode", f.exchange_capture_mode);
}

absl::Status FindMemoryAndModuleFunctions(void* library, Functions& f) {
  RETURN_IF_ERROR(Find(library, "cuMemAlloc_v2", f.allocate));
  RETURN_IF_ERROR(Find(library, "cuMemFree_v2", f.free));
  RETURN_IF_ERROR(Find(library, "cuMemcpyHtoD_v2", f.copy_to_device));
  RETURN_IF_ERROR(Find(library, "cuMemcpyDtoH_v2", f.copy_to_host));
  RETURN_IF_ERROR(Find(library, "cuMemHostAlloc", f.host_allocate));
  RETURN_IF_ERROR(Find(library, "cuMemFreeHost", f.host_free));
  RETURN_IF_ERROR(Find(library, "cuMemcpyDtoHAsync_v2", f.copy_to_locked));
  RETURN_IF_ERROR(Find(library, "cuMemcpyDtoDAsync_v2", f.copy_on_device));
  RETURN_IF_ERROR(Find(library, "cuMemsetD8Async", f.fill));
  RETURN_IF_ERROR(Find(library, "cuModuleLoadData", f.module_load));
  RETURN_IF_ERROR(Find(library, "cuModuleUnload", f.module_unload));
  RETURN_IF_ERROR(Find(library, "cuModuleGetFunction", f.module_function));
  RETURN_IF_ERROR(Find(library, "cuFuncSetAttribute", f.function_set_attribute));
  return Find(library, "cuOccupancyMaxActiveBlocksPerMultiprocessor", f.resident_ctas);
}

absl::Status FindStreamFunctions(void* library, Functions& f) {
  f.tensor_map_encode =
      reinterpret_cast<decltype(f.tensor_map_encode)>(dlsym(library, "cuTensorMapEncodeTiled"));
  RETURN_IF_ERROR(Find(library, "cuLaunchKernel", f.launch));
  RETURN_IF_ERROR(Find(library, "cuStreamCreate", f.stream_create));
  RETURN_IF_ERROR(Find(library, "cuStreamDestroy_v2", f.stream_destroy));
  RETURN_IF_ERROR(Find(library, "cuStreamSynchronize", f.stream_synchronize));
  RETURN_IF_ERROR(Find(library, "cuStreamGetId", f.stream_id));
  RETURN_IF_ERROR(Find(library, "cuStreamIsCapturing", f.stream_capturing));
  RETURN_IF_ERROR(Find(library, "cuEventCreate", f.event_create));
  RETURN_IF_ERROR(Find(library, "cuEventDestroy_v2", f.event_destroy));
  RETURN_IF_ERROR(Find(library, "cuEventRecord", f.event_record));
  RETURN_IF_ERROR(Find(library, "cuEventSynchronize", f.event_synchronize));
  return Find(library, "cuEventElapsedTime", f.event_elapsed);
}

absl::StatusOr<Functions> OpenLibrary() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrFormat("no NVIDIA driver on this machine: %s", dlerror()));
  }
  Functions functions;
  RETURN_IF_ERROR(FindDeviceFunctions(library, functions));
  RETURN_IF_ERROR(FindMemoryAndModuleFunctions(library, functions));
  RETURN_IF_ERROR(FindStreamFunctions(library, functions));
  return functions;  // the library stays open as long as the process
}

const absl::StatusOr<Functions>& Library() {
  static const absl::StatusOr<Functions> functions = OpenLibrary();
  return functions;
}

// Only reached through the table, which is handed out when the library is there.
const Functions& Cuda() { return *Library(); }

const char* ErrorText(int code) {
  const char* text = nullptr;
  Cuda().error_string(static_cast<CUresult>(code), &text);
  return text != nullptr ? text : "unknown error";
}

// Ordinals and device handles are the same numbers today, but only cuDeviceGet says so.
int Device(int ordinal, CUdevice* device) { return Cuda().device_get(device, ordinal); }

CUdevice_attribute AttributeOf(DeviceAttribute attribute) {
  switch (attribute) {
    case DeviceAttribute::kComputeCapabilityMajor:
      return CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
    case DeviceAttribute::kComputeCapabilityMinor:
      return CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
    case DeviceAttribute::kSmCount:
      return CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
    case DeviceAttribute::kSharedBytesPerBlock:
      return CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
    case DeviceAttribute::kSharedBytesPerSm:
      return CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR;
    case DeviceAttribute::kRegistersPerSm:
      return CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR;
    case DeviceAttribute::kL2Bytes:
      return CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
  }
  return CU_DEVICE_ATTRIBUTE_MAX;
}

int ReadDeviceName(int ordinal, char* name, int size) {
  CUdevice device;
  if (int code = Device(ordinal, &device)) return code;
  return Cuda().device_name(name, size, device);
}

int ReadDeviceAttribute(int ordinal, DeviceAttribute attribute, int* value) {
  CUdevice device;
  if (int code = Device(ordinal, &device)) return code;
  return Cuda().device_attribute(value, AttributeOf(attribute), device);
}

int ReadDeviceMemory(int ordinal, size_t* bytes) {
  CUdevice device;
  if (int code = Device(ordinal, &device)) return code;
  return Cuda().device_memory(bytes, device);
}

int ReadPciAddress(int ordinal, char* text, int size) {
  CUdevice device;
  if (int code = Device(ordinal, &device)) return code;
  return Cuda().device_pci_address(text, size, device);
}

int AcquireContext(int ordinal, CUctx_st** context) {
  CUdevice device;
  if (int code = Device(ordinal, &device)) return code;
  if (int code = Cuda().context_retain(context, device)) return code;
  int code = Cuda().context_set_current(*context);
  if (code != CUDA_SUCCESS) Cuda().context_release(device);
  return code;
}

int ReleaseContext(int ordinal) {
  CUdevice device;
  if (int code = Device(ordinal, &device)) return code;
  return Cuda().context_release(device);
}

int ExchangeCaptureMode(CaptureMode* mode) {
  static_assert(int{CU_STREAM_CAPTURE_MODE_RELAXED} == static_cast<int>(CaptureMode::kRelaxed));
  auto exchanged = static_cast<CUstreamCaptureMode>(*mode);
  const int code = Cuda().exchange_capture_mode(&exchanged);
  *mode = static_cast<CaptureMode>(exchanged);
  return code;
}

// From pageable memory the driver returns once it has its own copy, the transfer still under way on
// the default stream, which no stream of ours waits for.
int CopyToDevice(DeviceAddress target, const void* source, size_t bytes) {
  if (int code = Cuda().copy_to_device(target, source, bytes)) return code;
  return Cuda().stream_synchronize(nullptr);
}

// What reads past a tensor's end is zero.
int EncodeMap(const TensorView& view, const void* tensor, TensorMap& map) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap));
  if (view.rank == 0) return 0;
  if (Cuda().tensor_map_encode == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  std::array<cuuint64_t, 5> sizes;
  std::array<cuuint64_t, 4> pitches;
  std::array<cuuint32_t, 5> box;
  std::ranges::copy(view.sizes, sizes.begin());
  std::ranges::copy(view.pitches, pitches.begin());
  std::ranges::copy(view.box, box.begin());
  constexpr std::array<cuuint32_t, 5> kSteps = {1, 1, 1, 1, 1};
  return Cuda().tensor_map_encode(
      reinterpret_cast<CUtensorMap*>(&map), CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
      static_cast<cuuint32_t>(view.rank), const_cast<void*>(tensor), sizes.data(), pitches.data(),
      box.data(), kSteps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

int LaunchPlan(CUfunc_st* function, const Plan& plan, const void* args, CUstream_st* stream) {
  TensorMaps maps;
  if (plan.w.rank > 0) {
    const auto& tensors = *static_cast<const MoeArgs*>(args);
    if (int code = EncodeMap(plan.w, tensors.w, maps.w)) return code;
    if (int code = EncodeMap(plan.x, tensors.x, maps.x)) return code;
  }
  LaunchArgs launch = plan.launch;
  void* parameters[] = {const_cast<void*>(args), &launch, &maps};  // as many as the function has
  return Cuda().launch(
      function, static_cast<unsigned>(plan.grid[0]), static_cast<unsigned>(plan.grid[1]),
      static_cast<unsigned>(plan.grid[2]), static_cast<unsigned>(plan.threads), 1, 1,
      static_cast<unsigned>(plan.dynamic_shared_bytes), stream, parameters, nullptr);
}

int IsCapturing(CUstream_st* stream, bool* capturing) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const int code = Cuda().stream_capturing(stream, &status);
  *capturing = status != CU_STREAM_CAPTURE_STATUS_NONE;
  return code;
}

int ReadStreamId(CUstream_st* stream, uint64_t* id) {
  unsigned long long number = 0;
  const int code = Cuda().stream_id(stream, &number);
  *id = number;
  return code;
}

int AllowShared(CUfunc_st* function, int64_t bytes) {
  return Cuda().function_set_attribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                       static_cast<int>(bytes));
}

int CountResidentCtas(int* ctas, CUfunc_st* function, int threads, int64_t shared_bytes) {
  return Cuda().resident_ctas(ctas, function, threads, static_cast<size_t>(shared_bytes));
}

// The functions of libcuda differ from the table's in their return type alone.
constexpr DriverApi kApi = {
    .error_text = ErrorText,
    .init = [] { return int{Cuda().init(0)}; },
    .version = [](int* version) { return int{Cuda().version(version)}; },
    .device_count = [](int* count) { return int{Cuda().device_count(count)}; },
    .device_name = ReadDeviceName,
    .device_attribute = ReadDeviceAttribute,
    .device_memory = ReadDeviceMemory,
    .device_pci_address = ReadPciAddress,
    .context_acquire = AcquireContext,
    .context_release = ReleaseContext,
    .context_make_current = [](CUctx_st* c) { return int{Cuda().context_set_current(c)}; },
    .context_get_current = [](CUctx_st** c) { return int{Cuda().context_get_current(c)}; },
    .exchange_capture_mode = ExchangeCaptureMode,
    .allocate =
        [](DeviceAddress* address, size_t bytes) {
          CUdeviceptr pointer = 0;
          int code = Cuda().allocate(&pointer, bytes);
          *address = pointer;
          return code;
        },
    .free = [](DeviceAddress address) { return int{Cuda().free(address)}; },
    .copy_to_device = CopyToDevice,
    .copy_to_host = [](void* target, DeviceAddress source,
                       size_t bytes) { return int{Cuda().copy_to_host(target, source, bytes)}; },
    .host_allocate = [](void** memory,
                        size_t bytes) { return int{Cuda().host_allocate(memory, bytes, 0)}; },
    .host_free = [](void* memory) { return int{Cuda().host_free(memory)}; },
    .copy_to_locked =
        [](void* target, DeviceAddress source, size_t bytes, CUstream_st* s) {
          return int{Cuda().copy_to_locked(target, source, bytes, s)};
        },
    .copy_on_device =
        [](DeviceAddress target, DeviceAddress source, size_t bytes, CUstream_st* s) {
          return int{Cuda().copy_on_device(target, source, bytes, s)};
        },
    .fill = [](DeviceAddress target, uint8_t value, size_t bytes,
               CUstream_st* s) { return int{Cuda().fill(target, value, bytes, s)}; },
    .module_load = [](CUmod_st** m,
                      const void* image) { return int{Cuda().module_load(m, image)}; },
    .module_unload = [](CUmod_st* m) { return int{Cuda().module_unload(m)}; },
    .module_function = [](CUfunc_st** f, CUmod_st* m,
                          const char* name) { return int{Cuda().module_function(f, m, name)}; },
    .function_allow_shared = AllowShared,
    .function_resident_ctas = CountResidentCtas,
    .launch = LaunchPlan,
    .stream_create =
        [](CUstream_st** s) { return int{Cuda().stream_create(s, CU_STREAM_NON_BLOCKING)}; },
    .stream_destroy = [](CUstream_st* s) { return int{Cuda().stream_destroy(s)}; },
    .stream_synchronize = [](CUstream_st* s) { return int{Cuda().stream_synchronize(s)}; },
    .stream_id = ReadStreamId,
    .stream_capturing = IsCapturing,
    .event_create = [](CUevent_st** e) { return int{Cuda().event_create(e, CU_EVENT_DEFAULT)}; },
    .event_destroy = [](CUevent_st* e) { return int{Cuda().event_destroy(e)}; },
    .event_record = [](CUevent_st* e, CUstream_st* s) { return int{Cuda().event_record(e, s)}; },
    .event_synchronize = [](CUevent_st* e) { return int{Cuda().event_synchronize(e)}; },
    .event_elapsed_ms = [](float* ms, CUevent_st* start,
                           CUevent_st* end) { return int{Cuda().event_elapsed(ms, start, end)}; },
};

absl::Status Initialise() {
  RETURN_IF_ERROR(Library().status());
  int code = kApi.init();
  int count = 0;
  if (code == CUDA_SUCCESS) code = kApi.device_count(&count);
  if (code == CUDA_ERROR_NO_DEVICE || (code == CUDA_SUCCESS && count == 0)) {
    return absl::FailedPreconditionError("no CUDA device is visible to the NVIDIA driver");
  }
  if (code == CUDA_SUCCESS) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("the NVIDIA driver does not start: %s (%d)", ErrorText(code), code));
}

}  // namespace

absl::StatusOr<const DriverApi*> OpenDriver() {
  static const absl::Status initialised = Initialise();
  RETURN_IF_ERROR(initialised);
  return &kApi;
}

}  // namespace moetune
