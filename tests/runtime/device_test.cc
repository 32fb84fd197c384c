#include "runtime/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/testing/fake_cuda.h"

namespace moetune {
namespace {

using testing::HasSubstr;

CUctx_st* CurrentOf(const DriverApi& driver) {
  CUctx_st* context = nullptr;
  driver.context_get_current(&context);
  return context;
}

TEST(RelaxedCaptureMode, LastsAsLongAsItLivesAndThenTheModeOfBeforeIsBack) {
  const FakeCuda cuda;
  const auto exchange = [&](CaptureMode mode) {
    EXPECT_EQ(cuda.api().exchange_capture_mode(&mode), 0);
    return mode;
  };
  exchange(CaptureMode::kThreadLocal);
  {
    const RelaxedCaptureMode relaxed(cuda.api());
    EXPECT_EQ(exchange(CaptureMode::kRelaxed), CaptureMode::kRelaxed);
  }
  EXPECT_EQ(exchange(CaptureMode::kGlobal), CaptureMode::kThreadLocal);
}

TEST(Device, IsDescribedByTheDriversFactsAndTheKnownRates) {
  const FakeCuda cuda;
  const absl::StatusOr<DeviceSpec> device = DescribeDevice(cuda.api(), 1);
  ASSERT_TRUE(device.ok()) << device.status();
  const DeviceSpec expected = Fiction200();
  EXPECT_EQ(device->name, expected.name);
  EXPECT_EQ(device->compute_capability, expected.compute_capability);
  EXPECT_EQ(device->sm_count, expected.sm_count);
  EXPECT_EQ(device->shared_bytes_per_block, expected.shared_bytes_per_block);
  EXPECT_EQ(device->shared_bytes_per_sm, expected.shared_bytes_per_sm);
  EXPECT_EQ(device->l2_bytes, expected.l2_bytes);
  EXPECT_EQ(device->memory_bytes, expected.memory_bytes);
  EXPECT_GT(device->copy_gbps, 0);
  EXPECT_GT(device->matrix_tflops, 0);
}

TEST(Device, AnUnknownOrdinalIsAnErrorThatSaysHowManyThereAre) {
  const FakeCuda cuda;
  for (const int ordinal : {-1, 2}) {
    const absl::Status status = DescribeDevice(cuda.api(), ordinal).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(status.ToString(), HasSubstr("has 2"));
  }
}

TEST(Device, AllDevicesAreListedInOrder) {
  const FakeCuda cuda({.devices = {Fable75(), Fiction100()}});
  const auto devices = ListDevices(cuda.api());
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 2u);
  EXPECT_EQ((*devices)[0].name, "Fable 75");
  EXPECT_EQ((*devices)[1].name, "Fiction 100");
}

TEST(Device, AMachineWithoutDevicesListsNone) {
  const FakeCuda cuda({.devices = {}});
  const auto devices = ListDevices(cuda.api());
  ASSERT_TRUE(devices.ok());
  EXPECT_TRUE(devices->empty());
}

TEST(Context, IsCurrentWhereItWasAcquiredAndReleasedOnce) {
  const FakeCuda cuda;
  absl::StatusOr<Context> context = Context::Acquire(cuda.api(), 0);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(CurrentOf(cuda.api()), context->get());
  Context moved = *std::move(context);
  EXPECT_EQ(moved.device().name, "Fiction 100");
}

TEST(CurrentContext, PutsBackWhatWasCurrentBefore) {
  const FakeCuda cuda;
  const absl::StatusOr<Context> first = Context::Acquire(cuda.api(), 0);
  const absl::StatusOr<Context> second = Context::Acquire(cuda.api(), 1);
  ASSERT_TRUE(first.ok() && second.ok());
  {
    const CurrentContext current(*first);
    ASSERT_TRUE(current.status().ok());
    EXPECT_EQ(CurrentOf(cuda.api()), first->get());
  }
  EXPECT_EQ(CurrentOf(cuda.api()), second->get());

  cuda.api().context_make_current(nullptr);
  { const CurrentContext current(*first); }
  EXPECT_EQ(CurrentOf(cuda.api()), nullptr);
}

class DeviceObjects : public testing::Test {
 protected:
  FakeCuda cuda_;
  const DriverApi& driver_ = cuda_.api();
  Context context_ = *Context::Acquire(driver_, 0);
};

TEST_F(DeviceObjects, ABufferHoldsItsMemoryUntilItGoes) {
  absl::StatusOr<Buffer> buffer = Buffer::Allocate(driver_, 1000);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_EQ(buffer->bytes(), 1000u);
  const Buffer moved = *std::move(buffer);
  const std::vector<char> sent(1000, 'a');
  std::vector<char> received(1000);
  EXPECT_EQ(driver_.copy_to_device(moved.address(), sent.data(), sent.size()), 0);
  EXPECT_EQ(driver_.copy_to_host(received.data(), moved.address(), received.size()), 0);
  EXPECT_EQ(sent, received);
}

TEST_F(DeviceObjects, ALockedBufferTakesCopiesOnAStream) {
  const Buffer buffer = *Buffer::Allocate(driver_, 1000);
  const Stream stream = *Stream::Create(driver_);
  absl::StatusOr<LockedBuffer> locked = LockedBuffer::Allocate(driver_, 1000);
  ASSERT_TRUE(locked.ok()) << locked.status();
  const LockedBuffer moved = *std::move(locked);
  EXPECT_EQ(moved.bytes(), 1000u);
  EXPECT_EQ(driver_.fill(buffer.address(), 7, 1000, stream.get()), 0);
  EXPECT_EQ(driver_.copy_to_locked(moved.data(), buffer.address(), 1000, stream.get()), 0);
  ASSERT_TRUE(stream.Synchronize().ok());
  EXPECT_EQ(moved.data()[999], 7);
}

TEST_F(DeviceObjects, ABufferOfNoBytesHoldsNothing) {
  const absl::StatusOr<Buffer> buffer = Buffer::Allocate(driver_, 0);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(buffer->address(), 0u);
}

TEST_F(DeviceObjects, TooLargeABufferIsAnErrorThatNamesTheSize) {
  const absl::Status status = Buffer::Allocate(driver_, size_t{1} << 40).status();
  EXPECT_THAT(status.ToString(), HasSubstr("1099511627776 bytes"));
  EXPECT_THAT(status.ToString(), HasSubstr("out of memory"));
}

TEST_F(DeviceObjects, TimeBetweenEventsIsThatOfTheWorkBetweenThem) {
  const Stream stream = *Stream::Create(driver_);
  const Event start = *Event::Create(driver_);
  const Event end = *Event::Create(driver_);
  const Buffer buffer = *Buffer::Allocate(driver_, 3'000'000);
  ASSERT_TRUE(start.Record(stream.get()).ok());
  ASSERT_EQ(driver_.fill(buffer.address(), 0, buffer.bytes(), stream.get()), 0);
  ASSERT_TRUE(end.Record(stream.get()).ok());
  ASSERT_TRUE(end.Synchronize().ok());
  const absl::StatusOr<double> us = start.ElapsedUs(end);
  ASSERT_TRUE(us.ok()) << us.status();
  EXPECT_NEAR(*us, 1.0, 1e-3);  // 3 MB at 3000 GB/s
}

TEST_F(DeviceObjects, DriverErrorsSayWhatFailedAndWhy) {
  EXPECT_TRUE(DriverStatus(driver_, 0, "cannot count").ok());
  const absl::Status status = DriverStatus(driver_, 2, "cannot count");
  EXPECT_EQ(status, absl::InternalError("cannot count: out of memory (2)"));
}

}  // namespace
}  // namespace moetune
