#include "tuner/service/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/records.h"
#include "tests/testing/snapshots.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

DeviceSpec SmallerH200() {
  DeviceSpec device = FindKnownDevice("h200").value();
  device.sm_count = 66;  // as one slice of it says of itself
  return device;
}

TEST(DeviceChoice, WithoutANameALoneDeviceIsTaken) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64), Fable75())});
  EXPECT_EQ(ChooseDevice("", *snapshot).value(), Fable75());
}

TEST(DeviceChoice, WithoutANameSeveralDevicesAreListed) {
  const auto snapshot = SnapshotOf(
      {WinnerFor(SmallProblem(64), Fable75()), WinnerFor(SmallProblem(64), Fiction100())});
  const absl::Status status = ChooseDevice("", *snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Fable 75, Fiction 100"));
}

TEST(DeviceChoice, WithoutANameAndWithoutWinnersThereIsNothingToTake) {
  EXPECT_EQ(ChooseDevice("", *SnapshotOf({})).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DeviceChoice, ADeviceOfTheDatabaseGoesBeforeAKnownOne) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64), SmallerH200())});
  EXPECT_EQ(ChooseDevice("NVIDIA H200", *snapshot)->sm_count, 66);
  EXPECT_EQ(ChooseDevice("h200", *snapshot)->sm_count, 66);
}

TEST(DeviceChoice, AKnownDeviceNeedsNoWinners) {
  EXPECT_EQ(ChooseDevice("a100", *SnapshotOf({})).value(), FindKnownDevice("a100").value());
}

TEST(DeviceChoice, AnUnknownNameIsAnsweredWithTheNearest) {
  const auto snapshot = SnapshotOf({WinnerFor(SmallProblem(64), Fable75())});
  const absl::Status status = ChooseDevice("Fabel 75", *snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("did you mean 'Fable 75'"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("h200"));
}

TEST(DeviceChoice, ANameOfAMegabyteIsRefusedUnquoted) {
  const absl::Status status = ChooseDevice(std::string(1 << 20, 'h'), *SnapshotOf({})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_LT(status.message().size(), 100u);
}

}  // namespace
}  // namespace moetune
