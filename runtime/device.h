// The GPUs of this machine, and RAII for what lives on one.
#ifndef MOETUNE_RUNTIME_DEVICE_H_
#define MOETUNE_RUNTIME_DEVICE_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device_spec.h"
#include "runtime/driver.h"

namespace moetune {

absl::StatusOr<DeviceSpec> DescribeDevice(const DriverApi& driver, int ordinal);
absl::StatusOr<std::vector<DeviceSpec>> ListDevices(const DriverApi& driver);

// The primary context of a device, held while this lives. Current on the thread that made it.
class Context {
 public:
  static absl::StatusOr<Context> Acquire(const DriverApi& driver, int ordinal);
  ~Context();
  Context(Context&& other) noexcept;
  Context& operator=(Context&& other) noexcept;

  absl::Status MakeCurrent() const;  // for the calling thread
  CUctx_st* get() const { return context_; }
  const DriverApi& driver() const { return *driver_; }
  const DeviceSpec& device() const { return device_; }

 private:
  Context() = default;
  const DriverApi* driver_ = nullptr;  // null when moved from
  int ordinal_ = 0;
  CUctx_st* context_ = nullptr;
  DeviceSpec device_;
};

// Makes a context current on the calling thread, and in the end what was current before. Costs a
// few nanoseconds when it is current already; allocates nothing.
class CurrentContext {
 public:
  explicit CurrentContext(const Context& context);
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

  absl::Status status() const;

 private:
  const Context& context_;
  CUctx_st* previous_ = nullptr;
  int code_ = 0;
};

// Puts the calling thread in relaxed capture mode, and in the end in the one of before: what loads
// or unloads a module beside a stream capture on another thread would else be refused, and end it.
class RelaxedCaptureMode {
 public:
  explicit RelaxedCaptureMode(const DriverApi& driver);
  ~RelaxedCaptureMode();
  RelaxedCaptureMode(const RelaxedCaptureMode&) = delete;
  RelaxedCaptureMode& operator=(const RelaxedCaptureMode&) = delete;

 private:
  const DriverApi& driver_;
  CaptureMode previous_ = CaptureMode::kRelaxed;
};

// Device memory from the driver's plain allocation. Empty when default-made or moved from.
class Buffer {
 public:
  Buffer() = default;
  static absl::StatusOr<Buffer> Allocate(const DriverApi& driver, size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;

  DeviceAddress address() const { return address_; }
  void* pointer() const { return reinterpret_cast<void*>(address_); }
  size_t bytes() const { return bytes_; }

 private:
  const DriverApi* driver_ = nullptr;
  DeviceAddress address_ = 0;
  size_t bytes_ = 0;
};

// Page-locked memory of the host. Empty when default-made or moved from.
class LockedBuffer {
 public:
  LockedBuffer() = default;
  static absl::StatusOr<LockedBuffer> Allocate(const DriverApi& driver, size_t bytes);
  ~LockedBuffer();
  LockedBuffer(LockedBuffer&& other) noexcept { *this = std::move(other); }
  LockedBuffer& operator=(LockedBuffer&& other) noexcept;

  uint8_t* data() const { return static_cast<uint8_t*>(memory_); }
  size_t bytes() const { return bytes_; }

 private:
  const DriverApi* driver_ = nullptr;
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

class Stream {
 public:
  static absl::StatusOr<Stream> Create(const DriverApi& driver);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;

  CUstream_st* get() const { return stream_; }
  absl::Status Synchronize() const;

 private:
  Stream() = default;
  const DriverApi* driver_ = nullptr;
  CUstream_st* stream_ = nullptr;
};

class Event {
 public:
  static absl::StatusOr<Event> Create(const DriverApi& driver);
  ~Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;

  absl::Status Record(CUstream_st* stream) const;
  absl::Status Synchronize() const;
  absl::StatusOr<double> ElapsedUs(const Event& end) const;  // from this to `end`

 private:
  Event() = default;
  const DriverApi* driver_ = nullptr;
  CUevent_st* event_ = nullptr;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_DEVICE_H_
