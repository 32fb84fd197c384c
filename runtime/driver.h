// The CUDA driver as a table of functions: the real one is opened from libcuda at run time, tests
// bring their own. Only driver.cc includes <cuda.h>; without it the build links no_cuda.cc instead.
#ifndef MOETUNE_RUNTIME_DRIVER_H_
#define MOETUNE_RUNTIME_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/family.h"

// The driver's own handle types, so that its streams can be passed as they are.
struct CUctx_st;
struct CUevent_st;
struct CUfunc_st;
struct CUmod_st;
struct CUstream_st;

namespace moetune {

using DeviceAddress = uint64_t;

enum class DeviceAttribute {
  kComputeCapabilityMajor,
  kComputeCapabilityMinor,
  kSmCount,
  kSharedBytesPerBlock,  // opt-in
  kSharedBytesPerSm,
  kRegistersPerSm,
  kL2Bytes,
};

// What a thread may do while a stream is captured; the driver's own numbers. Under kRelaxed its
// calls neither disturb nor are refused by a capture on another thread.
enum class CaptureMode { kGlobal = 0, kThreadLocal = 1, kRelaxed = 2 };

// Every function returns 0 or the driver's error code. All of them act on the calling thread's
// current context, except those that name a device by its ordinal.
struct DriverApi {
  const char* (*error_text)(int code);
  int (*init)();
  int (*version)(int* version);  // 1000 * major + 10 * minor
  int (*device_count)(int* count);
  int (*device_name)(int ordinal, char* name, int size);
  int (*device_attribute)(int ordinal, DeviceAttribute attribute, int* value);
  int (*device_memory)(int ordinal, size_t* bytes);
  int (*device_pci_address)(int ordinal, char* text, int size);  // "0000:4E:00.0"

  int (*context_acquire)(int ordinal, CUctx_st** context);  // the primary one, made current
  int (*context_release)(int ordinal);
  int (*context_make_current)(CUctx_st* context);
  int (*context_get_current)(CUctx_st** context);   // null when there is none
  int (*exchange_capture_mode)(CaptureMode* mode);  // the thread's: takes the new, gives the old

  int (*allocate)(DeviceAddress* address, size_t bytes);
  int (*free)(DeviceAddress address);
  // Both host copies have ended when they return, but wait for no work on any stream.
  int (*copy_to_device)(DeviceAddress target, const void* source, size_t bytes);
  int (*copy_to_host)(void* target, DeviceAddress source, size_t bytes);
  // Page-locked memory of the host, which the device fills at the full rate of the bus, beside the
  // host's own work.
  int (*host_allocate)(void** memory, size_t bytes);
  int (*host_free)(void* memory);
  int (*copy_to_locked)(void* target, DeviceAddress source, size_t bytes, CUstream_st* stream);
  int (*copy_on_device)(DeviceAddress target, DeviceAddress source, size_t bytes,
                        CUstream_st* stream);
  int (*fill)(DeviceAddress target, uint8_t value, size_t bytes, CUstream_st* stream);

  int (*module_load)(CUmod_st** module, const void* image);
  int (*module_unload)(CUmod_st* module);
  int (*module_function)(CUfunc_st** function, CUmod_st* module, const char* name);
  int (*function_allow_shared)(CUfunc_st* function, int64_t bytes);
  int (*function_resident_ctas)(int* ctas, CUfunc_st* function, int threads, int64_t shared_bytes);
  // `args` is the function's first parameter, a MoeArgs where the plan names tensor views. It may
  // have a second, the plan's LaunchArgs, and a third, the TensorMaps of the views.
  int (*launch)(CUfunc_st* function, const Plan& plan, const void* args, CUstream_st* stream);

  int (*stream_create)(CUstream_st** stream);
  int (*stream_destroy)(CUstream_st* stream);
  int (*stream_synchronize)(CUstream_st* stream);
  int (*stream_id)(CUstream_st* stream, uint64_t* id);  // no other stream of the process gets it
  int (*stream_capturing)(CUstream_st* stream, bool* capturing);
  int (*event_create)(CUevent_st** event);
  int (*event_destroy)(CUevent_st* event);
  int (*event_record)(CUevent_st* event, CUstream_st* stream);
  int (*event_synchronize)(CUevent_st* event);
  int (*event_elapsed_ms)(float* ms, CUevent_st* start, CUevent_st* end);
};

// libcuda, opened and initialised on the first call; FailedPrecondition says which of "built
// without CUDA headers", "no NVIDIA driver" or "no CUDA device" is the case.
absl::StatusOr<const DriverApi*> OpenDriver();

// OK for 0, else Internal "WHAT: TEXT (CODE)".
absl::Status DriverStatus(const DriverApi& driver, int code, std::string_view what);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_DRIVER_H_
