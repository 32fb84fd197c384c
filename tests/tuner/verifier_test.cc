#include "tuner/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/fake_machine.h"
#include "tests/tuner/fake_workers.h"

namespace moetune {
namespace {

using ::testing::StartsWith;

enum class Compares { kOnHost, kOnDevice, kWithoutRoom };

constexpr Compares kEverywhere[] = {Compares::kOnHost, Compares::kOnDevice, Compares::kWithoutRoom};

FakeScript WithRoomFor(FakeScript script, Compares compares) {
  constexpr int64_t kLittle = int64_t{256} << 20;  // enough for a tiny workload and its copies
  if (compares == Compares::kWithoutRoom) script.devices.front().memory_bytes = kLittle;
  return script;
}

// A verifier with a problem, on a fictional GPU that follows a script.
struct Bench {
  explicit Bench(Compares compares, const FakeScript& script = {},
                 const Problem& of = TinyProblem())
      : gpu(WithRoomFor(script, compares)), problem(of) {
    EXPECT_TRUE(workload.Load(problem, 1, {}).ok());
    if (compares == Compares::kOnHost) return;
    const Cubin cubin = Compile(gpu.nvrtc.api(), CompareSource(), "sm_90a").value();
    verifier.UseComparison(Comparison::Load(gpu.context, cubin).value());
  }

  Complaint Verify(const Candidate& candidate) {
    const Cubin cubin =
        Compile(gpu.nvrtc.api(), MakeSource(problem.shape, candidate), "sm_90a").value();
    const LoadedKernel kernel = LoadedKernel::Load(gpu.context, cubin, candidate, problem).value();
    const size_t before = fake_cuda::machine->downloaded_bytes;
    const Complaint complaint = verifier.Verify(kernel, 1).value();
    read_back = fake_cuda::machine->downloaded_bytes - before;
    return complaint;
  }

  size_t OutputBytes() const { return static_cast<size_t>(workload.OutputBytes()); }

  FakeGpu gpu;
  Problem problem;
  Stream stream = Stream::Create(gpu.driver).value();
  Workload workload = Workload(gpu.context, stream.get());
  Verifier verifier = Verifier(workload, stream);
  size_t read_back = 0;  // by the last one
};

constexpr size_t kAnswers = 2 * sizeof(uint32_t);  // of two draws

TEST(Verifier, OfWhatIsRightTheDeviceAnswersAWordForEachDraw) {
  for (const Compares compares : kEverywhere) {
    Bench bench(compares);
    EXPECT_EQ(bench.Verify(kGood), std::nullopt);
    EXPECT_EQ(bench.read_back, 2 * bench.OutputBytes()) << "the first of its family";
    EXPECT_EQ(bench.Verify(kOther), std::nullopt);
    const bool on_device = compares == Compares::kOnDevice;
    EXPECT_EQ(bench.read_back, on_device ? kAnswers : 2 * bench.OutputBytes());
  }
}

std::string ComplaintOf(FakeFaultKind kind, const char* key, Compares compares) {
  Bench bench(compares, BadIs(kind), ProblemOf(key));
  EXPECT_EQ(bench.Verify(kGood), std::nullopt) << key;
  const Complaint complaint = bench.Verify(kBad);
  EXPECT_TRUE(complaint) << key;
  EXPECT_EQ(bench.Verify(kOther), std::nullopt) << key;
  return complaint.value_or("none");
}

TEST(Verifier, AComplaintIsTheSameWhereverOutputsAreCompared) {
  for (const char* key :
       {"forward/bf16/plain/e4/t12x2/n40/k24", "forward/bf16/scatter/e4/t12x2/n40/k24/r9",
        "forward/bf16/swiglu+preact/e4/t12x2/n40/k24", "forward/bf16/combine/e4/t12x2/n40/k24",
        "forward/bf16-fp32/plain/e4/t3x1/n7/k5"}) {
    for (const FakeFaultKind kind : {FakeFaultKind::kWrongBit, FakeFaultKind::kWrongOutput,
                                     FakeFaultKind::kLostRow, FakeFaultKind::kOverrun}) {
      const std::string host = ComplaintOf(kind, key, Compares::kOnHost);
      EXPECT_EQ(ComplaintOf(kind, key, Compares::kOnDevice), host) << key;
      EXPECT_EQ(ComplaintOf(kind, key, Compares::kWithoutRoom), host) << key;
    }
  }
}

TEST(Verifier, GuardsAndRowsThatWereNotWrittenAreComparedToo) {
  const char* plain = "forward/bf16/plain/e4/t12x2/n40/k24";
  EXPECT_EQ(ComplaintOf(FakeFaultKind::kOverrun, plain, Compares::kOnDevice),
            "wrote past the output's end (with the tuned routing)");
  EXPECT_EQ(ComplaintOf(FakeFaultKind::kOverrun, "forward/bf16/swiglu+preact/e4/t12x2/n40/k24",
                        Compares::kOnDevice),
            "wrote between the output's tensors (with the tuned routing)");
  const std::string lost = ComplaintOf(FakeFaultKind::kLostRow, plain, Compares::kOnDevice);
  EXPECT_THAT(lost, StartsWith("row 23, column 0: -nan in place of ")) << "poison";
}

// Spoils all that is as large as an output: the copies, and the output that is filled anew.
void SpoilCopies(size_t bytes) {
  for (const auto& [address, allocation] : fake_cuda::machine->allocations) {
    if (allocation.bytes == bytes) reinterpret_cast<uint8_t*>(address)[bytes / 2] ^= 1;
  }
}

TEST(Verifier, ACopyThatWasWrittenOverCondemnsNobodyAndIsMadeAnew) {
  Bench bench(Compares::kOnDevice);
  EXPECT_EQ(bench.Verify(kGood), std::nullopt);
  SpoilCopies(bench.OutputBytes());
  EXPECT_EQ(bench.Verify(kOther), std::nullopt);
  EXPECT_EQ(bench.read_back, kAnswers + 2 * bench.OutputBytes());
  EXPECT_EQ(bench.Verify(kBad), std::nullopt);
  EXPECT_EQ(bench.read_back, kAnswers);
}

TEST(Verifier, CopiesAreFreedWithTheirProblemAndNotMadeWithoutRoom) {
  for (const Compares compares : {Compares::kOnDevice, Compares::kWithoutRoom}) {
    Bench bench(compares);
    const auto& allocations = fake_cuda::machine->allocations;
    const size_t before = allocations.size();
    EXPECT_EQ(bench.Verify(kGood), std::nullopt);
    EXPECT_EQ(allocations.size() - before, compares == Compares::kOnDevice ? 2u : 0u);
    bench.verifier.Forget();
    EXPECT_EQ(allocations.size(), before);
  }
}

}  // namespace
}  // namespace moetune
