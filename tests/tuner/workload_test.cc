#include "tuner/workload.h"

#include <gtest/gtest.h>

#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

class WorkloadTest : public ::testing::Test {
 protected:
  void Load(const char* key) { ASSERT_TRUE(workload_.Load(ProblemOf(key), 1, {}).ok()); }

  FakeGpu gpu_;
  const Stream stream_ = *Stream::Create(gpu_.driver);
  Workload workload_ = Workload(gpu_.context, stream_.get());
};

// What was written into every place of the output, far beyond one piece, is read back in order.
TEST_F(WorkloadTest, AnOutputOfSeveralPiecesIsReadWhole) {
  Load("forward/bf16/plain/e4/t65536x1/n1280/k8/balanced");
  ASSERT_TRUE(workload_.PoisonOutput().ok());
  std::vector<uint8_t> expected(workload_.OutputBytes(), Workload::kPoison);
  ASSERT_GT(expected.size(), size_t{2} << 26) << "three pieces";
  const auto y = reinterpret_cast<DeviceAddress>(workload_.Args(0).y);
  for (size_t at = 0; at + (1 << 17) < expected.size(); at += 999'983) {
    const auto value = static_cast<uint8_t>(at % 251);
    expected[Workload::kGuardBytes + at] = value;
    ASSERT_EQ(gpu_.driver.copy_to_device(y + at, &value, 1), 0);
  }

  size_t at = 0;
  EXPECT_TRUE(workload_
                  .ReadOutput([&](std::span<const uint8_t> piece) {
                    EXPECT_TRUE(
                        std::ranges::equal(piece, std::span(expected).subspan(at, piece.size())));
                    at += piece.size();
                    return true;
                  })
                  .ok());
  EXPECT_EQ(at, expected.size());
}

TEST_F(WorkloadTest, WhoHasSeenEnoughOfAnOutputGetsNoMoreOfIt) {
  Load("forward/bf16/plain/e4/t65536x1/n640/k8/balanced");
  int pieces = 0;
  EXPECT_TRUE(workload_.ReadOutput([&](auto) { return ++pieces < 1; }).ok());
  EXPECT_EQ(pieces, 1);
}

TEST_F(WorkloadTest, ARefillMendsEveryInputOfAKernel) {
  Load("forward/bf16/scatter+scale/e4/t64x2/n40/k24/softmax+zipf");
  const auto first_byte_of = [](const void* input) -> uint8_t& {
    return *static_cast<uint8_t*>(const_cast<void*>(input));  // of a fake device: it is host memory
  };
  for (size_t draw = 0; draw < workload_.host().draws.size(); ++draw) {
    const MoeArgs args = workload_.Args(static_cast<int>(draw));
    for (const void* input :
         {args.x, args.w, static_cast<const void*>(args.row_counts),
          static_cast<const void*>(args.row_index), static_cast<const void*>(args.scale)}) {
      uint8_t& byte = first_byte_of(input);
      const uint8_t before = byte;
      byte ^= 1;
      ASSERT_TRUE(workload_.Refill().ok());
      EXPECT_EQ(byte, before);
    }
  }
}

}  // namespace
}  // namespace moetune
