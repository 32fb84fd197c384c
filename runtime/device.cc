#include "runtime/device.h"

#include <array>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

absl::StatusOr<int> ReadAttribute(const DriverApi& driver, int ordinal, DeviceAttribute attribute) {
  int value = 0;
  RETURN_IF_ERROR(DriverStatus(driver, driver.device_attribute(ordinal, attribute, &value),
                               "cannot read an attribute of the device"));
  return value;
}

absl::StatusOr<int> CountDevices(const DriverApi& driver) {
  int count = 0;
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.device_count(&count), "cannot count the CUDA devices"));
  return count;
}

}  // namespace

absl::StatusOr<DeviceSpec> DescribeDevice(const DriverApi& driver, int ordinal) {
  ASSIGN_OR_RETURN(const int count, CountDevices(driver));
  if (ordinal < 0 || ordinal >= count) {
    return absl::NotFoundError(
        absl::StrFormat("there is no CUDA device %d; this machine has %d", ordinal, count));
  }
  DeviceSpec device;
  std::array<char, 256> name = {};
  RETURN_IF_ERROR(DriverStatus(driver, driver.device_name(ordinal, name.data(), name.size() - 1),
                               "cannot read the device's name"));
  device.name = name.data();
  size_t memory_bytes = 0;
  RETURN_IF_ERROR(DriverStatus(driver, driver.device_memory(ordinal, &memory_bytes),
                               "cannot read the device's memory size"));
  device.memory_bytes = static_cast<int64_t>(memory_bytes);

  const auto read = [&](DeviceAttribute attribute) {
    return ReadAttribute(driver, ordinal, attribute);
  };
  ASSIGN_OR_RETURN(const int major, read(DeviceAttribute::kComputeCapabilityMajor));
  ASSIGN_OR_RETURN(const int minor, read(DeviceAttribute::kComputeCapabilityMinor));
  device.compute_capability = 10 * major + minor;
  ASSIGN_OR_RETURN(device.sm_count, read(DeviceAttribute::kSmCount));
  ASSIGN_OR_RETURN(device.shared_bytes_per_block, read(DeviceAttribute::kSharedBytesPerBlock));
  ASSIGN_OR_RETURN(device.shared_bytes_per_sm, read(DeviceAttribute::kSharedBytesPerSm));
  ASSIGN_OR_RETURN(device.registers_per_sm, read(DeviceAttribute::kRegistersPerSm));
  ASSIGN_OR_RETURN(device.l2_bytes, read(DeviceAttribute::kL2Bytes));
  FillRates(device);
  return device;
}

absl::StatusOr<std::vector<DeviceSpec>> ListDevices(const DriverApi& driver) {
  ASSIGN_OR_RETURN(const int count, CountDevices(driver));
  std::vector<DeviceSpec> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    ASSIGN_OR_RETURN(DeviceSpec device, DescribeDevice(driver, ordinal));
    devices.push_back(std::move(device));
  }
  return devices;
}

absl::StatusOr<Context> Context::Acquire(const DriverApi& driver, int ordinal) {
  Context context;
  ASSIGN_OR_RETURN(context.device_, DescribeDevice(driver, ordinal));
  RETURN_IF_ERROR(DriverStatus(driver, driver.context_acquire(ordinal, &context.context_),
                               absl::StrFormat("cannot use CUDA device %d", ordinal)));
  context.driver_ = &driver;
  context.ordinal_ = ordinal;
  return context;
}

Context::~Context() {
  if (driver_ != nullptr) driver_->context_release(ordinal_);
}

Context::Context(Context&& other) noexcept { *this = std::move(other); }

Context& Context::operator=(Context&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(ordinal_, other.ordinal_);
  std::swap(context_, other.context_);
  std::swap(device_, other.device_);
  return *this;
}

absl::Status Context::MakeCurrent() const {
  return DriverStatus(*driver_, driver_->context_make_current(context_),
                      "cannot use the device on this thread");
}

CurrentContext::CurrentContext(const Context& context) : context_(context) {
  const DriverApi& driver = context.driver();
  code_ = driver.context_get_current(&previous_);
  if (code_ == 0 && previous_ != context.get()) code_ = driver.context_make_current(context.get());
}

CurrentContext::~CurrentContext() {
  if (code_ == 0 && previous_ != context_.get()) {
    context_.driver().context_make_current(previous_);
  }
}

absl::Status CurrentContext::status() const {
  return DriverStatus(context_.driver(), code_, "cannot use the device on this thread");
}

RelaxedCaptureMode::RelaxedCaptureMode(const DriverApi& driver) : driver_(driver) {
  driver_.exchange_capture_mode(&previous_);
}

RelaxedCaptureMode::~RelaxedCaptureMode() { driver_.exchange_capture_mode(&previous_); }

absl::StatusOr<Buffer> Buffer::Allocate(const DriverApi& driver, size_t bytes) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  RETURN_IF_ERROR(DriverStatus(driver, driver.allocate(&buffer.address_, bytes),
                               absl::StrFormat("cannot allocate %d bytes on the device", bytes)));
  buffer.driver_ = &driver;
  buffer.bytes_ = bytes;
  return buffer;
}

Buffer::~Buffer() {
  if (driver_ != nullptr) driver_->free(address_);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

absl::StatusOr<LockedBuffer> LockedBuffer::Allocate(const DriverApi& driver, size_t bytes) {
  LockedBuffer buffer;
  if (bytes == 0) return buffer;
  RETURN_IF_ERROR(DriverStatus(driver, driver.host_allocate(&buffer.memory_, bytes),
                               absl::StrFormat("cannot lock %d bytes of host memory", bytes)));
  buffer.driver_ = &driver;
  buffer.bytes_ = bytes;
  return buffer;
}

LockedBuffer::~LockedBuffer() {
  if (driver_ != nullptr) driver_->host_free(memory_);
}

LockedBuffer& LockedBuffer::operator=(LockedBuffer&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

absl::StatusOr<Stream> Stream::Create(const DriverApi& driver) {
  Stream stream;
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.stream_create(&stream.stream_), "cannot create a stream"));
  stream.driver_ = &driver;
  return stream;
}

Stream::~Stream() {
  if (driver_ != nullptr) driver_->stream_destroy(stream_);
}

Stream::Stream(Stream&& other) noexcept { *this = std::move(other); }

Stream& Stream::operator=(Stream&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(stream_, other.stream_);
  return *this;
}

absl::Status Stream::Synchronize() const {
  return DriverStatus(*driver_, driver_->stream_synchronize(stream_),
                      "the work on a stream failed");
}

absl::StatusOr<Event> Event::Create(const DriverApi& driver) {
  Event event;
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.event_create(&event.event_), "cannot create an event"));
  event.driver_ = &driver;
  return event;
}

Event::~Event() {
  if (driver_ != nullptr) driver_->event_destroy(event_);
}

Event::Event(Event&& other) noexcept { *this = std::move(other); }

Event& Event::operator=(Event&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(event_, other.event_);
  return *this;
}

absl::Status Event::Record(CUstream_st* stream) const {
  return DriverStatus(*driver_, driver_->event_record(event_, stream), "cannot record an event");
}

absl::Status Event::Synchronize() const {
  return DriverStatus(*driver_, driver_->event_synchronize(event_),
                      "the work before an event failed");
}

absl::StatusOr<double> Event::ElapsedUs(const Event& end) const {
  float ms = 0;
  RETURN_IF_ERROR(DriverStatus(*driver_, driver_->event_elapsed_ms(&ms, event_, end.event_),
                               "cannot read the time between two events"));
  return 1e3 * static_cast<double>(ms);
}

}  // namespace moetune
