// The device text of family `reference`, run on the host by the emulator.
#include <bit>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/device/args.h"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "tests/kernels/families/emulated_case.h"
#include "tests/testing/cuda_emulator.h"
#include "tests/testing/guarded_launch.h"

#define EMULATED smallest_tile
#define BLOCK_M 16
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED flat_tile
#define BLOCK_M 16
#define BLOCK_N 128
#define BLOCK_K 32
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED one_row_per_thread
#define BLOCK_M 16
#define THREADS 128
#define INDEX long long
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED largest_tile
#define BLOCK_M 128
#define BLOCK_N 128
#define BLOCK_K 32
#define THREADS 256
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED gather
#define BLOCK_N 64
#define BLOCK_K 32
#define THREADS 128
#define FUSE_GATHER 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED gather_fp32_output
#define BLOCK_M 64
#define INDEX long long
#define OUTPUT fp32
#define FUSE_GATHER 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED scatter_fp16
#define BLOCK_N 64
#define OPERAND fp16
#define FUSE_SCATTER 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED scale
#define BLOCK_M 64
#define BLOCK_N 64
#define BLOCK_K 32
#define THREADS 256
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED scale_fp16_weights
#define THREADS 128
#define OPERAND fp16
#define INDEX long long
#define WEIGHT fp16
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED swiglu
#define BLOCK_M 64
#define FUSE_SWIGLU 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED swiglu_gather_preact
#define BLOCK_M 16
#define BLOCK_N 128
#define BLOCK_K 32
#define OPERAND fp16
#define FUSE_GATHER 1
#define FUSE_SWIGLU 1
#define FUSE_PREACT 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED swiglu_preact_fp32_output
#define THREADS 128
#define INDEX long long
#define OUTPUT fp32
#define FUSE_SWIGLU 1
#define FUSE_PREACT 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED combine
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#define FUSE_COMBINE 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED combine_fp32_output
#define BLOCK_M 64
#define BLOCK_N 64
#define OPERAND fp16
#define OUTPUT fp32
#define INDEX long long
#define WEIGHT fp16
#define FUSE_SCATTER 1
#define FUSE_SCALE 1
#define FUSE_COMBINE 1
#include "tests/kernels/families/emulated_reference.inc"

#define EMULATED all_fp32
#define BLOCK_N 64
#define BLOCK_K 32
#define OPERAND fp32
#include "tests/kernels/families/emulated_reference.inc"

namespace moetune {
namespace {

const EmulatedCase* const kCases[] = {
    &smallest_tile_case,
    &flat_tile_case,
    &one_row_per_thread_case,
    &largest_tile_case,
    &gather_case,
    &gather_fp32_output_case,
    &scatter_fp16_case,
    &scale_case,
    &scale_fp16_weights_case,
    &all_fp32_case,
    &swiglu_case,
    &swiglu_gather_preact_case,
    &swiglu_preact_fp32_output_case,
    &combine_case,
    &combine_fp32_output_case,
};

using cuda_emulator::ThreadOrder;

const Family& Reference() { return *FindFamily("reference").value(); }

// The output of the case's kernel, launched as a dispatcher would.
GuardedBytes Emulate(const EmulatedCase& test, const Layout& layout, GuardedLaunch& launch,
                     ThreadOrder order = ThreadOrder::kAscending) {
  GuardedBytes y = launch.PoisonedOutput();
  const MoeArgs args = launch.Args(y);
  const Plan plan = Reference().plan(ProblemFor(test.shape, layout), test.config, {}, {});
  const absl::Status status = RunCase(test, plan, args, order);
  EXPECT_TRUE(status.ok()) << status;
  return y;
}

class EmulatedReference : public testing::TestWithParam<const EmulatedCase*> {};
INSTANTIATE_TEST_SUITE_P(, EmulatedReference, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param->name; });

TEST_P(EmulatedReference, IsCompiledWithTheOptionsOfMakeSource) {
  const EmulatedCase& test = *GetParam();
  EXPECT_EQ(MakeSource(test.shape, {&Reference(), test.config}, test.types).options, test.options);
}

TEST_P(EmulatedReference, GivesThePlainProductBitForBitAndWritesNothingElse) {
  const EmulatedCase& test = *GetParam();
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 4; ++repeat) {
    const Layout layout = RandomLayout(random);
    const Problem problem = ProblemFor(test.shape, layout);
    ASSERT_TRUE(ValidateProblem(problem).ok()) << ValidateProblem(problem);
    ASSERT_TRUE(IsLegal(Reference(), problem, test.config, FindKnownDevice("t4").value()));
    GuardedLaunch launch(test.shape, test.types, layout, random());
    const ThreadOrder order = repeat % 2 == 0 ? ThreadOrder::kAscending : ThreadOrder::kDescending;
    EXPECT_TRUE(Emulate(test, layout, launch, order) == launch.Expected()) << ProblemKey(problem);
  }
}

TEST_P(EmulatedReference, TakesExtremeLayouts) {
  const EmulatedCase& test = *GetParam();
  const Layout layouts[] = {
      {.counts = {0, 0, 0}, .tokens = 7, .rows = 7, .n = 5, .k = 3},   // no row at all
      {.counts = {129}, .tokens = 129, .rows = 129, .n = 33, .k = 1},  // one expert, k of 1
      {.counts = std::vector<int64_t>(33, 1), .tokens = 33, .rows = 33, .n = 1, .k = 33},
      {.counts = {16, 32, 64, 128}, .tokens = 120, .top_k = 2, .rows = 240, .n = 128, .k = 32},
      {.counts = {0, 5, 0}, .tokens = 10, .top_k = 3, .rows = 6, .n = 40, .k = 20},  // one rank's
  };
  for (const Layout& layout : layouts) {
    GuardedLaunch launch(test.shape, test.types, layout, 2);
    EXPECT_TRUE(Emulate(test, layout, launch) == launch.Expected())
        << ProblemKey(ProblemFor(test.shape, layout));
  }
}

TEST_P(EmulatedReference, KeepsNonFiniteValuesInTheirExpert) {
  const EmulatedCase& test = *GetParam();
  const Layout layout = {.counts = {9, 20, 0, 40}, .tokens = 69, .rows = 69, .n = 50, .k = 37};
  GuardedLaunch launch(test.shape, test.types, layout, 3);
  const GuardedBytes clean = launch.Expected();
  const auto poisoned = [](int64_t row) { return row >= 9 && row < 29; };  // expert 1
  for (int64_t row = 9; row < 29; ++row) launch.SetX(row, row, row % 2 == 0 ? INFINITY : NAN);
  for (int64_t n = 0; n < layout.n; ++n) launch.SetW(1, n, 0, NAN);
  const GuardedBytes y = Emulate(test, layout, launch);
  for (int64_t row = 0; row < layout.rows; ++row) {
    for (int64_t n = 0; n < OutputColumns(ProblemFor(test.shape, layout).shape); ++n) {
      ASSERT_EQ(std::isnan(launch.Y(y, row, n)), poisoned(row)) << "row " << row << ", n " << n;
      if (poisoned(row)) continue;
      ASSERT_EQ(launch.Y(y, row, n), launch.Y(clean, row, n)) << "row " << row << ", n " << n;
    }
  }
}

TEST(Reference, ConfigsOfOneProblemAgreeBitForBit) {
  const Layout layout = {
      .counts = {3, 0, 130, 1, 17}, .tokens = 151, .rows = 151, .n = 131, .k = 67};
  GuardedLaunch launch(smallest_tile_case.shape, smallest_tile_case.types, layout, 4);
  const GuardedBytes y = Emulate(smallest_tile_case, layout, launch);
  for (const EmulatedCase* other : {&flat_tile_case, &largest_tile_case}) {
    EXPECT_TRUE(Emulate(*other, layout, launch) == y) << other->name;
  }
}

// A product too small for fp32 leaves -0 in the sum. What fills up the last step of k must not turn
// it into +0, for the length of a step depends on the config.
TEST(Reference, TheLastStepOfKKeepsTheSignOfAZero) {
  const Layout layout = {.counts = {1}, .tokens = 1, .rows = 1, .n = 1, .k = 16};
  for (const EmulatedCase* test : {&smallest_tile_case, &flat_tile_case}) {
    GuardedLaunch launch(test->shape, test->types, layout, 5);
    for (int k = 0; k < 16; ++k) {
      launch.SetX(0, k, 1e-30f);
      launch.SetW(0, 0, k, -1e-30f);
    }
    EXPECT_TRUE(std::signbit(launch.Y(Emulate(*test, layout, launch), 0, 0))) << test->name;
  }
}

// Whether the fragments of EXTENT / PER_THREAD threads hold each element once.
template <int EXTENT, int PER_THREAD>
bool CoversOnce() {
  std::set<int> elements;
  for (int thread = 0; thread < EXTENT / PER_THREAD; ++thread) {
    for (int i = 0; i < PER_THREAD; ++i) {
      elements.insert(smallest_tile::FragmentIndex<EXTENT, PER_THREAD>(thread, i));
    }
  }
  return elements.size() == EXTENT && *elements.begin() == 0 && *elements.rbegin() == EXTENT - 1;
}

template <int EXTENT>
bool CoversOnceHoweverManyPerThread() {
  return CoversOnce<EXTENT, 1>() && CoversOnce<EXTENT, 2>() && CoversOnce<EXTENT, 4>() &&
         CoversOnce<EXTENT, 8>();
}

TEST(Reference, FragmentsOfAllThreadsCoverATileOnce) {
  EXPECT_TRUE(CoversOnceHoweverManyPerThread<16>());
  EXPECT_TRUE(CoversOnceHoweverManyPerThread<32>());
  EXPECT_TRUE(CoversOnceHoweverManyPerThread<64>());
  EXPECT_TRUE(CoversOnceHoweverManyPerThread<128>());
}

}  // namespace
}  // namespace moetune
