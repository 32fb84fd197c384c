#include "runtime/ready_table.h"

#include <gtest/gtest.h>

#include "kernels/cost_model.h"
#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

class ReadyTableTest : public testing::Test {
 protected:
  const LoadedKernel* Load(int64_t block_m, const Problem& problem = SmallProblem(1)) {
    return *gpu_.pool.Get(problem, ReferenceCandidate(block_m), "");
  }

  // What answers `rows` rows of the small problem's shape.
  const LoadedKernel* At(const ReadyTable& table, int64_t rows) const {
    const ReadyTable::Match match = table.Find(kShape, rows);
    return match.point == nullptr ? nullptr : match.point->kernel;
  }

  const Shape kShape = SmallProblem(1).shape;
  FakeGpu gpu_;
};

TEST_F(ReadyTableTest, AShapeThatIsNotThereIsWanted) {
  const ReadyTable::Match match = ReadyTable().Find(kShape, 10);
  EXPECT_EQ(match.point, nullptr);
  EXPECT_TRUE(match.wanting);
}

TEST_F(ReadyTableTest, TheNearestRowCountInLogSpaceAnswers) {
  const LoadedKernel* small = Load(16);
  const LoadedKernel* large = Load(128);
  const auto one = ReadyTable().With(kShape, 1000, {.kernel = large}, Origin::kPrepared);
  const auto two = one->With(kShape, 10, {.kernel = small}, Origin::kPrepared);
  EXPECT_EQ(At(*two, 10), small);
  EXPECT_EQ(At(*two, 99), small);
  EXPECT_EQ(At(*two, 100), large);  // halfway
  EXPECT_EQ(At(*two, 1000), large);
}

TEST_F(ReadyTableTest, ItSaysWhetherThePointIsForTheseVeryRows) {
  const auto table = ReadyTable().With(kShape, 1000, {.kernel = Load(16)}, Origin::kPrepared);
  EXPECT_TRUE(table->Find(kShape, 1000).exact);
  EXPECT_FALSE(table->Find(kShape, 1001).exact);
  EXPECT_FALSE(ReadyTable().Find(kShape, 1000).exact);
}

TEST_F(ReadyTableTest, RowsBeyondTheAxisTakeItsEndAndPreparedShapesWantNoMore) {
  const LoadedKernel* small = Load(16);
  const LoadedKernel* large = Load(128);
  const auto table = ReadyTable()
                         .With(kShape, 10, {.kernel = small}, Origin::kPrepared)
                         ->With(kShape, 1000, {.kernel = large}, Origin::kPrepared);
  EXPECT_EQ(At(*table, 1), small);
  EXPECT_EQ(At(*table, int64_t{1} << 40), large);
  EXPECT_FALSE(table->Find(kShape, int64_t{1} << 40).wanting);
}

TEST_F(ReadyTableTest, AShapeThatOnlyLaunchesAskedForWantsFarRowCountsToo) {
  const auto table = ReadyTable().With(kShape, 100, {.kernel = Load(16)}, Origin::kLaunch);
  EXPECT_FALSE(table->Find(kShape, 100).wanting);
  EXPECT_FALSE(table->Find(kShape, 60).wanting);
  EXPECT_FALSE(table->Find(kShape, 190).wanting);
  EXPECT_TRUE(table->Find(kShape, 40).wanting);
  EXPECT_TRUE(table->Find(kShape, 300).wanting);
  const auto prepared = table->With(kShape, 5, {.kernel = Load(16)}, Origin::kPrepared);
  EXPECT_FALSE(prepared->Find(kShape, 300).wanting);
}

TEST_F(ReadyTableTest, APointTakesThePlaceOfTheOneWithItsRowCount) {
  const LoadedKernel* first = Load(16);
  const LoadedKernel* second = Load(32);
  const auto before = ReadyTable().With(kShape, 10, {.kernel = first}, Origin::kPrepared);
  const auto after =
      before->With(kShape, 10, {.kernel = second, .pinned = true}, Origin::kPrepared);
  EXPECT_EQ(At(*after, 10), second);
  EXPECT_EQ(after->point_count(), 1);
  EXPECT_EQ(At(*before, 10), first);  // launches may still read it
}

TEST_F(ReadyTableTest, SayingTheSameAgainMakesNoNewTable) {
  const ReadyPoint point = {.kernel = Load(16), .tier = Tier::kBucket};
  const auto table = ReadyTable().With(kShape, 10, point, Origin::kLaunch);
  EXPECT_EQ(table->With(kShape, 10, point, Origin::kLaunch), nullptr);
  EXPECT_NE(table->With(kShape, 10, point, Origin::kPrepared), nullptr);
  EXPECT_NE(table->With(kShape, 11, point, Origin::kLaunch), nullptr);
}

TEST_F(ReadyTableTest, PointsAreCountedOverAllShapes) {
  const Shape other = ProblemOf("forward/bf16/plain/e8/t1x2/n512/k512").shape;
  const ReadyPoint point = {.kernel = Load(16)};
  const auto table = ReadyTable()
                         .With(kShape, 10, point, Origin::kPrepared)
                         ->With(kShape, 20, point, Origin::kPrepared)
                         ->With(other, 10, point, Origin::kPrepared);
  EXPECT_EQ(table->point_count(), 3);
}

TEST_F(ReadyTableTest, TheBestLoadedIsTheCostModelsChoiceAmongThoseOfItsKind) {
  const Problem asked = ProblemOf("forward/bf16/plain/e8/t4x2/n4096/k512");
  const Problem other_kind = ProblemOf("forward/bf16/gather/e8/t4x2/n4096/k512");
  const LoadedKernel* small = Load(16);
  const LoadedKernel* large = Load(128);
  const LoadedKernel* other = Load(16, other_kind);
  const auto table = ReadyTable()
                         .With(kShape, 10, {.kernel = large}, Origin::kPrepared)
                         ->With(kShape, 1000, {.kernel = small}, Origin::kPrepared)
                         ->With(other_kind.shape, 8, {.kernel = other}, Origin::kPrepared);
  const DeviceSpec& device = gpu_.context.device();
  const auto us = [&](const LoadedKernel* kernel) {
    return EstimateUs(asked, kernel->candidate(), device, &kernel->facts());
  };
  EXPECT_EQ(table->BestLoaded(asked, device), us(small) < us(large) ? small : large);
  EXPECT_EQ(table->BestLoaded(other_kind, device), other);
  EXPECT_EQ(table->BestLoaded(ProblemOf("forward/fp16/plain/e8/t4x2/n64/k64"), device), nullptr);
}

TEST_F(ReadyTableTest, AKernelThatCannotTakeTheProblemIsNotTheBestLoaded) {
  const auto table = ReadyTable().With(kShape, 10, {.kernel = Load(16)}, Origin::kPrepared);
  DeviceSpec too_old = gpu_.context.device();
  too_old.compute_capability = 30;
  EXPECT_EQ(table->BestLoaded(SmallProblem(4), too_old), nullptr);
}

}  // namespace
}  // namespace moetune
