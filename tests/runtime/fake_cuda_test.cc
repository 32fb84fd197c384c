// The fakes are as strict and as scripted as the tests above them believe.
#include "tests/testing/fake_cuda.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "runtime/kernel.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/forward_case.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using testing::HasSubstr;

const Problem kProblem = ProblemOf("forward/bf16/plain/e4/t8x2/n16/k32/softmax");

// One scripted machine with a context, a stream and a problem to run.
class Machine {
 public:
  explicit Machine(const FakeScript& script = {}, int ordinal = 0)
      : nvrtc_(script), cuda_(script), context_(*Context::Acquire(cuda_.api(), ordinal)) {}

  LoadedKernel Load(int64_t block_m = 64) {
    const Candidate candidate = {FindFamily("reference").value(), ReferenceConfig(block_m)};
    const Source source = MakeSource(kProblem.shape, candidate);
    return *LoadedKernel::Load(context_, *Compile(nvrtc_.api(), source, "sm_90a"), candidate,
                               kProblem);
  }

  double TimeUs(int64_t block_m = 64) {
    const LoadedKernel kernel = Load(block_m);
    const Event start = *Event::Create(driver());
    const Event end = *Event::Create(driver());
    const ForwardCase run = *ForwardCase::Create(driver(), kProblem);
    EXPECT_TRUE(start.Record(nullptr).ok());
    EXPECT_TRUE(kernel.Launch(kProblem, run.args(), nullptr).ok());
    EXPECT_TRUE(end.Record(nullptr).ok());
    return *start.ElapsedUs(end);
  }

  std::vector<uint8_t> Output() {
    const LoadedKernel kernel = Load();
    const ForwardCase run = *ForwardCase::Create(driver(), kProblem);
    EXPECT_TRUE(kernel.Launch(kProblem, run.args(), nullptr).ok());
    return *run.ReadOutput();
  }

  FakeCuda& cuda() { return cuda_; }
  const DriverApi& driver() { return cuda_.api(); }
  const DeviceSpec& device() const { return context_.device(); }

 private:
  FakeNvrtc nvrtc_;
  FakeCuda cuda_;
  Context context_;
};

int DifferentBytes(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  int different = 0;
  for (size_t i = 0; i < a.size(); ++i) different += a[i] != b[i];
  return different;
}

TEST(FakeCuda, TimesAreTheScriptedOnesOfTheFirstMatch) {
  Machine machine({.times = {{12.5, {.config = {{"block_m", 32}}}}, {40, {"reference", {}}}}});
  EXPECT_NEAR(machine.TimeUs(32), 12.5, 1e-4);
  EXPECT_NEAR(machine.TimeUs(64), 40, 1e-4);
}

TEST(FakeCuda, WithoutAScriptedTimeItIsTheCostModels) {
  Machine machine;
  const Candidate candidate = {FindFamily("reference").value(), ReferenceConfig()};
  EXPECT_NEAR(machine.TimeUs(), EstimateUs(kProblem, candidate, Fiction100(), nullptr), 1e-2);
}

TEST(FakeCuda, NoiseRepeatsWithItsSeed) {
  const auto time = [](uint64_t seed) {
    return Machine({.times = {{100, {}}}, .noise = 0.1, .seed = seed}).TimeUs();
  };
  EXPECT_EQ(time(1), time(1));
  EXPECT_NE(time(1), time(2));
  EXPECT_NEAR(time(1), 100, 50);
}

TEST(FakeCuda, WrongOutputsAreWrongByAsMuchAsScripted) {
  std::vector<uint8_t> right = Machine().Output();
  const auto output = [](FakeFaultKind kind) { return Machine({.faults = {{kind}}}).Output(); };
  EXPECT_EQ(DifferentBytes(right, output(FakeFaultKind::kWrongBit)), 1);
  EXPECT_LE(DifferentBytes(right, output(FakeFaultKind::kWrongOutput)), 2);
  EXPECT_GT(DifferentBytes(right, output(FakeFaultKind::kWrongOutput)), 0);
  const std::vector<uint8_t> lost = output(FakeFaultKind::kLostRow);
  const std::vector<uint8_t> poison(32, 0xff);
  EXPECT_TRUE(std::equal(poison.begin(), poison.end(), lost.end() - 32));
}

TEST(FakeCuda, AHangDelaysTheNextSynchronisation) {
  Machine machine({.faults = {{FakeFaultKind::kHang, {}, 0.05}}});
  const LoadedKernel kernel = machine.Load();
  const ForwardCase run = *ForwardCase::Create(machine.driver(), kProblem);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(kernel.Launch(kProblem, run.args(), nullptr).ok());
  ASSERT_EQ(machine.driver().stream_synchronize(nullptr), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
}

TEST(FakeCudaDeathTest, ACrashEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(Machine({.faults = {{FakeFaultKind::kCrash}}}).Output(), "");
}

TEST(FakeCuda, ALeakIsMisuse) {
  Machine machine;
  DeviceAddress address = 0;
  ASSERT_EQ(machine.driver().allocate(&address, 10), 0);
  EXPECT_THAT(machine.cuda().TakeMisuse(), testing::Contains("1 allocations not released"));
  ASSERT_EQ(machine.driver().free(address), 0);
}

TEST(FakeCuda, FreeingTwiceIsMisuse) {
  Machine machine;
  DeviceAddress address = 0;
  ASSERT_EQ(machine.driver().allocate(&address, 10), 0);
  ASSERT_EQ(machine.driver().free(address), 0);
  EXPECT_EQ(machine.driver().free(address), fake_cuda::kInvalidValue);
  EXPECT_THAT(machine.cuda().TakeMisuse(), testing::Contains("memory freed that is not allocated"));
}

TEST(FakeCuda, HostMemoryThatIsNotLockedTakesNoCopyOfAStream) {
  Machine machine;
  const Buffer buffer = *Buffer::Allocate(machine.driver(), 10);
  char bytes[10] = {};
  EXPECT_NE(machine.driver().copy_to_locked(bytes, buffer.address(), 10, nullptr), 0);
  EXPECT_NE(machine.driver().host_free(bytes), 0);
  EXPECT_THAT(machine.cuda().TakeMisuse(),
              testing::IsSupersetOf({"a copy to host memory that is not locked",
                                     "locked memory freed that is not allocated"}));
}

TEST(FakeCuda, CopiesPastAnAllocationAreMisuse) {
  Machine machine;
  const Buffer buffer = *Buffer::Allocate(machine.driver(), 10);
  char bytes[20] = {};
  EXPECT_NE(machine.driver().copy_to_device(buffer.address(), bytes, 11), 0);
  EXPECT_NE(machine.driver().copy_to_host(bytes, buffer.address() + 5, 6), 0);
  EXPECT_NE(machine.driver().fill(buffer.address(), 0, 11, nullptr), 0);
  EXPECT_EQ(machine.driver().copy_to_host(bytes, buffer.address() + 5, 5), 0);
  EXPECT_THAT(machine.cuda().TakeMisuse(),
              testing::IsSupersetOf({"a copy to the device past an allocation",
                                     "a copy to the host past an allocation",
                                     "a fill past an allocation"}));
}

TEST(FakeCuda, LaunchArgumentsInHostMemoryAreMisuse) {
  Machine machine;
  const LoadedKernel kernel = machine.Load();
  const ForwardCase run = *ForwardCase::Create(machine.driver(), kProblem);
  std::vector<char> host(1 << 20);
  MoeArgs args = run.args();
  args.x = host.data();
  EXPECT_TRUE(kernel.Launch(kProblem, args, nullptr).ok());
  EXPECT_EQ(machine.driver().stream_synchronize(nullptr), fake_cuda::kIllegalAddress);
  EXPECT_THAT(machine.cuda().TakeMisuse(), testing::Contains(HasSubstr("x: 1024 bytes")));
}

TEST(FakeCuda, DevicesHaveContextsOfTheirOwn) {
  FakeCuda cuda;
  const Context first = *Context::Acquire(cuda.api(), 0);
  const Stream stream = *Stream::Create(cuda.api());
  const Context second = *Context::Acquire(cuda.api(), 1);
  EXPECT_EQ(cuda.api().stream_synchronize(stream.get()), fake_cuda::kInvalidHandle);
  EXPECT_THAT(cuda.TakeMisuse(), testing::Contains("a stream that does not exist in this context"));
}

TEST(FakeCuda, WithoutAContextNothingWorks) {
  FakeCuda cuda;
  DeviceAddress address = 0;
  EXPECT_EQ(cuda.api().allocate(&address, 10), fake_cuda::kInvalidContext);
}

TEST(FakeCubin, HoldsWhatMakeSourceWasGiven) {
  const FakeNvrtc nvrtc;
  const Candidate candidate = {FindFamily("reference").value(), ReferenceConfig(32)};
  for (const std::string dtype : {"bf16", "fp16", "bf16-fp32", "fp16-fp32"}) {
    for (const std::string fusions : {"plain", "gather", "scatter", "scatter+scale"}) {
      for (const ArgTypes types : {ArgTypes{}, ArgTypes{.index64 = true, .scale_fp32 = false}}) {
        Shape kind = ProblemOf("forward/" + dtype + "/" + fusions + "/e4/t8x2/n16/k32").shape;
        const Source source = MakeSource(kind, candidate, types);
        const absl::StatusOr<Cubin> cubin = Compile(nvrtc.api(), source, "sm_90a");
        ASSERT_TRUE(cubin.ok()) << cubin.status();
        kind.experts = kind.top_k = kind.n = kind.k = 0;
        const FakeKernel expected = {candidate, kind, types, "sm_90a"};
        const absl::StatusOr<FakeKernel> actual = ReadFakeCubin(cubin->image);
        ASSERT_TRUE(actual.ok()) << actual.status();
        EXPECT_EQ(*actual, expected) << dtype << " " << fusions;
      }
    }
  }
}

TEST(FakeScript, ComesBackFromItsText) {
  const FakeScript script = {
      .devices = {Fiction200(), Fable75()},
      .times = {{12.25, {"reference", {{"block_m", 16}, {"threads", 64}}}}, {1e-3, {}}},
      .faults = {{FakeFaultKind::kHang, {"reference", {}}, -1},
                 {FakeFaultKind::kLostRow, {"", {{"block_n", 32}}}}},
      .noise = 0.015,
      .seed = 77,
      .nvrtc_major = 12,
      .nvrtc_minor = 8};
  const absl::StatusOr<FakeScript> read = ReadFakeScript(WriteFakeScript(script));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, script);
}

TEST(FakeScript, UnknownWordsAreErrorsThatNameThem) {
  EXPECT_THAT(ReadFakeScript("falt hang 1 *").status().ToString(), HasSubstr("'falt'"));
  EXPECT_THAT(ReadFakeScript("fault hangs 1 *").status().ToString(), HasSubstr("'hangs'"));
  EXPECT_THAT(ReadFakeScript("device Fiction 300").status().ToString(), HasSubstr("Fiction 300"));
}

}  // namespace
}  // namespace moetune
