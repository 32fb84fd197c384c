#include "kernels/device_spec.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "tests/testing/fictional_devices.h"

namespace moetune {
namespace {

using testing::HasSubstr;

TEST(KnownDevices, HaveSaneFacts) {
  for (const KnownDevice& known : KnownDevices()) {
    const DeviceSpec& spec = known.spec;
    SCOPED_TRACE(spec.name);
    EXPECT_GE(spec.compute_capability, 75);
    EXPECT_GE(spec.sm_count, 20);
    EXPECT_LE(spec.sm_count, 300);
    EXPECT_GE(spec.shared_bytes_per_block, 48 << 10);
    EXPECT_GE(spec.shared_bytes_per_sm, spec.shared_bytes_per_block);
    EXPECT_EQ(spec.registers_per_sm, 65536);
    EXPECT_GE(spec.l2_bytes, 4 << 20);
    EXPECT_GE(spec.memory_bytes, int64_t{16} << 30);
    EXPECT_GT(spec.write_gbps, 100);
    EXPECT_GE(spec.copy_gbps, spec.write_gbps);
    EXPECT_GE(spec.read_gbps, spec.copy_gbps);
    EXPECT_GT(spec.fma_tflops, 5);
    EXPECT_GT(spec.matrix_tflops, spec.fma_tflops);
  }
}

TEST(KnownDevices, AreFoundByAliasAndByDriverName) {
  std::set<std::string> names;
  for (const KnownDevice& known : KnownDevices()) {
    EXPECT_TRUE(names.insert(std::string(known.alias)).second);
    EXPECT_TRUE(names.insert(known.spec.name).second);
    EXPECT_EQ(FindKnownDevice(known.alias).value(), known.spec);
    EXPECT_EQ(FindKnownDevice(known.spec.name).value(), known.spec);
  }
}

TEST(KnownDevices, AnArchitectureMeansItsPreferredGpu) {
  EXPECT_EQ(FindKnownDevice("sm_90a")->name, "NVIDIA H200");
  EXPECT_EQ(FindKnownDevice("sm_90")->name, "NVIDIA H200");
  EXPECT_EQ(FindKnownDevice("sm_80")->name, "NVIDIA A100-SXM4-80GB");
  for (const KnownDevice& known : KnownDevices()) {
    const int capability = known.spec.compute_capability;
    EXPECT_EQ(FindKnownDevice(ArchName(capability))->compute_capability, capability);
  }
}

TEST(KnownDevices, TheH200HasItsMeasuredRates) {
  const DeviceSpec h200 = FindKnownDevice("h200").value();
  EXPECT_NEAR(h200.copy_gbps, 4300, 1);
  EXPECT_NEAR(h200.read_gbps, 4600, 1);
  EXPECT_NEAR(h200.write_gbps, 3370, 1);
  EXPECT_NEAR(h200.matrix_tflops, 790, 1);
}

TEST(KnownDevices, AnUnknownOneIsAnsweredWithTheNearestAndTheList) {
  const absl::Status status = FindKnownDevice("h2000").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("unknown device 'h2000'; did you mean 'h200'? known: h"));
  EXPECT_FALSE(FindKnownDevice("").ok());
  EXPECT_FALSE(FindKnownDevice("sm_30").ok());
}

TEST(ArchName, NamesEveryInstructionOfTheChip) {
  EXPECT_EQ(ArchName(75), "sm_75");
  EXPECT_EQ(ArchName(89), "sm_89");
  EXPECT_EQ(ArchName(90), "sm_90a");
  EXPECT_EQ(ArchName(100), "sm_100a");
}

TEST(FillRates, TakesThoseOfTheDeviceOfThatName) {
  DeviceSpec device = FindKnownDevice("h100").value();
  const DeviceSpec expected = device;
  device.read_gbps = device.write_gbps = device.copy_gbps = 0;
  device.matrix_tflops = device.fma_tflops = 0;
  FillRates(device);
  EXPECT_EQ(device, expected);
}

// The name counts, and the rates do not: a part of a GPU has another name.
TEST(FillRates, ScalesTheNearestArchitectureByTheSms) {
  const DeviceSpec h200 = FindKnownDevice("h200").value();
  DeviceSpec half = Fiction100();
  half.sm_count = h200.sm_count / 2;
  FillRates(half);
  EXPECT_DOUBLE_EQ(half.read_gbps, h200.read_gbps / 2);
  EXPECT_DOUBLE_EQ(half.write_gbps, h200.write_gbps / 2);
  EXPECT_DOUBLE_EQ(half.copy_gbps, h200.copy_gbps / 2);
  EXPECT_DOUBLE_EQ(half.matrix_tflops, h200.matrix_tflops / 2);
  EXPECT_DOUBLE_EQ(half.fma_tflops, h200.fma_tflops / 2);

  DeviceSpec newer = Fiction100();
  newer.compute_capability = 103;
  FillRates(newer);
  const DeviceSpec b200 = FindKnownDevice("b200").value();
  EXPECT_DOUBLE_EQ(newer.matrix_tflops, b200.matrix_tflops * newer.sm_count / b200.sm_count);
}

TEST(FillRates, LeavesTheFactsOfTheDriverAlone) {
  DeviceSpec device = Fable75();
  DeviceSpec filled = device;
  FillRates(filled);
  device.read_gbps = filled.read_gbps;
  device.write_gbps = filled.write_gbps;
  device.copy_gbps = filled.copy_gbps;
  device.matrix_tflops = filled.matrix_tflops;
  device.fma_tflops = filled.fma_tflops;
  EXPECT_EQ(filled, device);
}

}  // namespace
}  // namespace moetune
