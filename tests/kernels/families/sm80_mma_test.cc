// The device text of family `sm80_mma`, run on the host by the emulator.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/device/args.h"
#include "kernels/device/swizzle.cuh"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "tests/kernels/families/emulated_case.h"
#include "tests/testing/cuda_emulator.h"
#include "tests/testing/guarded_launch.h"
#include "tests/testing/host_reference.h"

#define EMULATED narrow_tokens
#define BLOCK_M 16
#define WARPS_M 1
#define WARPS_N 4
#define STAGES 4
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED gather_half_steps
#define BLOCK_N 64
#define BLOCK_K 32
#define STAGES 4
#define GROUP_M 8
#define SKIP_TAIL 1
#define FUSE_GATHER 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED tall_scatter
#define BLOCK_M 128
#define BLOCK_N 64
#define WARPS_M 4
#define WARPS_N 1
#define GROUP_M 8
#define SKIP_TAIL 1
#define FUSE_SCATTER 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED swapped_scale
#define BLOCK_M 8
#define WARPS_M 1
#define WARPS_N 4
#define STAGES 4
#define SWAP_AB 1
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED swapped_gather
#define BLOCK_M 32
#define BLOCK_N 64
#define BLOCK_K 32
#define STAGES 5
#define SWAP_AB 1
#define SKIP_TAIL 1
#define FUSE_GATHER 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED swapped_fp16_weights
#define BLOCK_M 32
#define WARPS_M 1
#define WARPS_N 4
#define SWAP_AB 1
#define SKIP_TAIL 1
#define OPERAND fp16
#define INDEX long long
#define WEIGHT fp16
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED eight_warps_fp16
#define WARPS_N 4
#define OPERAND fp16
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED fp32_output
#define BLOCK_N 64
#define STAGES 6
#define OUTPUT fp32
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED swapped_fp32_output
#define BLOCK_M 16
#define BLOCK_N 64
#define SWAP_AB 1
#define OUTPUT fp32
#define FUSE_GATHER 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED mma_swiglu
#define FUSE_SWIGLU 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED wide_gather_preact
#define BLOCK_N 256
#define WARPS_M 1
#define WARPS_N 8
#define BLOCK_K 32
#define STAGES 4
#define FUSE_GATHER 1
#define FUSE_SWIGLU 1
#define FUSE_PREACT 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED swapped_swiglu
#define BLOCK_M 16
#define WARPS_M 1
#define WARPS_N 4
#define SWAP_AB 1
#define SKIP_TAIL 1
#define OPERAND fp16
#define FUSE_GATHER 1
#define FUSE_SWIGLU 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED swapped_preact
#define BLOCK_M 32
#define BLOCK_N 64
#define BLOCK_K 32
#define STAGES 4
#define SWAP_AB 1
#define FUSE_SWIGLU 1
#define FUSE_PREACT 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED preact_fp32_output
#define BLOCK_M 32
#define BLOCK_N 64
#define OUTPUT fp32
#define FUSE_GATHER 1
#define FUSE_SWIGLU 1
#define FUSE_PREACT 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

#define EMULATED mma_combine
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#define FUSE_COMBINE 1
#include "tests/kernels/families/emulated_sm80_mma.inc"

namespace moetune {
namespace {

const EmulatedCase* const kCases[] = {
    &narrow_tokens_case,    &gather_half_steps_case,  &tall_scatter_case,
    &swapped_scale_case,    &swapped_gather_case,     &swapped_fp16_weights_case,
    &eight_warps_fp16_case, &fp32_output_case,        &swapped_fp32_output_case,
    &mma_swiglu_case,       &wide_gather_preact_case, &swapped_swiglu_case,
    &swapped_preact_case,   &preact_fp32_output_case, &mma_combine_case,
};

const Family& Sm80Mma() { return *FindFamily("sm80_mma").value(); }

// What the kernel can take: k a multiple of 8; n odd now and then.
Layout LayoutFor(std::mt19937& random, int repeat) {
  Layout layout = RandomLayout(random);
  layout.k = 8 * std::uniform_int_distribution<int64_t>(1, 30)(random);
  layout.n = std::uniform_int_distribution<int64_t>(1, 200)(random);
  if (repeat % 2 != 0) layout.n = (layout.n + 7) / 8 * 8;
  return layout;
}

// One tensor of an output, beginning at element `first`: where `expected` is untouched so is
// `actual`; all else is near, by the tolerance of a result against one of another order of sums.
void ExpectTensorNear(const GuardedBytes& actual, const GuardedBytes& expected,
                      const GuardedBytes& poison, Dtype dtype, int64_t first, int64_t rows,
                      int64_t columns) {
  const auto at = [&](const GuardedBytes& bytes, int64_t i) {
    return ReadElement(bytes.data(), dtype, i);
  };
  const auto is_poison = [&](const GuardedBytes& bytes, int64_t i) {
    const int size = DtypeBytes(dtype);
    return std::memcmp(static_cast<const char*>(bytes.data()) + i * size,
                       static_cast<const char*>(poison.data()) + i * size, size) == 0;
  };
  for (int64_t row = 0; row < rows; ++row, first += columns) {
    double squares = 0;
    for (int64_t n = 0; n < columns; ++n) squares += std::pow(at(expected, first + n), 2);
    const double rms = std::sqrt(squares / static_cast<double>(columns));
    for (int64_t n = 0; n < columns; ++n) {
      if (is_poison(expected, first + n)) {
        ASSERT_TRUE(is_poison(actual, first + n)) << "row " << row << ", n " << n;
        continue;
      }
      const double want = at(expected, first + n);
      if (!std::isfinite(want) || !std::isfinite(rms)) continue;  // past the range of fp16
      ASSERT_NEAR(at(actual, first + n), want, 0x1p-7 * (std::abs(want) + rms))
          << "row " << row << ", n " << n;
    }
  }
}

void ExpectNear(const GuardedBytes& actual, const GuardedBytes& expected,
                const GuardedBytes& poison, const Problem& problem) {
  const Shape& shape = problem.shape;
  const int64_t rows = OutputRows(problem);
  const int64_t columns = OutputColumns(shape);
  ExpectTensorNear(actual, expected, poison, shape.output, 0, rows, columns);
  if (!shape.Has(kPreact)) return;
  ExpectTensorNear(actual, expected, poison, shape.output, rows * columns, rows, shape.n);
}

class EmulatedSm80Mma : public testing::TestWithParam<const EmulatedCase*> {};
INSTANTIATE_TEST_SUITE_P(, EmulatedSm80Mma, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param->name; });

TEST_P(EmulatedSm80Mma, IsCompiledWithTheOptionsOfMakeSource) {
  const EmulatedCase& test = *GetParam();
  EXPECT_EQ(MakeSource(test.shape, {&Sm80Mma(), test.config}, test.types).options, test.options);
}

// On one SM a CTA walks all tiles, so that copies run ahead over the ends of tiles; on three they
// share.
TEST_P(EmulatedSm80Mma, GivesTheProductAndWritesNothingElse) {
  using cuda_emulator::ThreadOrder;
  const EmulatedCase& test = *GetParam();
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 4; ++repeat) {
    const Layout layout = LayoutFor(random, repeat);
    const Problem problem = ProblemFor(test.shape, layout);
    DeviceSpec device = FindKnownDevice("a100").value();
    device.sm_count = repeat < 2 ? 1 : 3;
    const absl::Status legal = CheckLegal(Sm80Mma(), problem, test.config, device);
    ASSERT_TRUE(legal.ok()) << legal;
    GuardedLaunch launch(test.shape, test.types, layout, random());
    GuardedBytes y = launch.PoisonedOutput();
    const MoeArgs args = launch.Args(y);
    const Plan plan = Sm80Mma().plan(problem, test.config, device, {.resident_ctas = 1});
    const absl::Status status = RunCase(
        test, plan, args, repeat % 2 == 0 ? ThreadOrder::kAscending : ThreadOrder::kDescending);
    ASSERT_TRUE(status.ok()) << status;
    ExpectNear(y, launch.Expected(), launch.PoisonedOutput(), problem);
  }
}

TEST(Sm80Mma, TheLegalSetFollowsTheSharedMemoryOfTheDevice) {
  const Problem problem = ParseProblem("forward/bf16/gather/e128/t1024x8/n1536/k2048").value();
  const auto legal = [&](const char* device) {
    return EnumerateLegal(Sm80Mma(), problem, FindKnownDevice(device).value()).size();
  };
  EXPECT_GT(legal("rtx4090"), 150u);
  EXPECT_GT(legal("a100"), legal("rtx4090"));
  EXPECT_GT(legal("h200"), legal("a100"));
  EXPECT_EQ(legal("t4"), 0u);
}

TEST(Sm80Mma, LeavesToOthersWhatItCannotCopySixteenBytesAtATime) {
  const DeviceSpec device = FindKnownDevice("h200").value();
  for (const char* key :
       {"forward/bf16/plain/e8/t64x2/n64/k68", "forward/fp32/plain/e8/t64x2/n64/k64",
        // 2^30 rows of 80 bytes: where they begin takes more than 32 bits.
        "forward/bf16/plain/e8/t536870912x2/n64/k40"}) {
    EXPECT_TRUE(EnumerateLegal(Sm80Mma(), ParseProblem(key).value(), device).empty()) << key;
  }
}

// Launches of more rows than a config was checked for are held to it.
TEST(Sm80Mma, ThePlanNamesTheLargestXThatIsLegal) {
  const DeviceSpec device = FindKnownDevice("h200").value();
  Problem problem = ParseProblem("forward/bf16/plain/e8/t1x1/n256/k1024").value();
  const Config config = EnumerateLegal(Sm80Mma(), problem, device).back();
  for (const int64_t tokens : {33554431, 33554432}) {
    problem.tokens = problem.rows = tokens;
    const Plan plan = Sm80Mma().plan(problem, config, device, {});
    EXPECT_EQ(tokens * 1024 <= plan.most_x_elements, IsLegal(Sm80Mma(), problem, config, device))
        << tokens;
  }
}

template <int CHUNKS>
void ExpectSwizzleWithoutConflicts() {
  std::set<int> offsets;
  for (int row = 0; row < 16; ++row) {
    for (int chunk = 0; chunk < CHUNKS; ++chunk) offsets.insert(SwizzledChunk<CHUNKS>(row, chunk));
  }
  EXPECT_EQ(offsets.size(), 16u * CHUNKS) << "no bijection";
  EXPECT_EQ(*offsets.rbegin(), 16 * CHUNKS - 1);
  for (int first = 0; first < 16; first += 8) {
    for (int chunk = 0; chunk < CHUNKS; ++chunk) {
      std::set<int> banks;  // groups of four, as eight rows of one chunk are read at once
      for (int row = first; row < first + 8; ++row) {
        banks.insert(SwizzledChunk<CHUNKS>(row, chunk) % 8);
      }
      EXPECT_EQ(banks.size(), 8u) << "chunk " << chunk;
    }
  }
}

TEST(Sm80Mma, TheSwizzleIsABijectionWithoutBankConflicts) {
  ExpectSwizzleWithoutConflicts<4>();
  ExpectSwizzleWithoutConflicts<8>();
}

}  // namespace
}  // namespace moetune
