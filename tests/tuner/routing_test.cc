#include "tuner/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>

#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

RoutingDraw Draw(std::string_view key, uint64_t seed = 1, const Histograms& histograms = {}) {
  auto draw = DrawRouting(ProblemOf(key), seed, histograms);
  EXPECT_TRUE(draw.ok()) << draw.status();
  return *std::move(draw);
}

// Whatever the kind: counts and index agree, no slot stands twice, slots ascend within an expert,
// and those in no row weigh nothing.
void ExpectGrouped(const Problem& problem, const RoutingDraw& draw) {
  ASSERT_EQ(static_cast<int64_t>(draw.counts.size()), problem.shape.experts);
  ASSERT_EQ(static_cast<int64_t>(draw.index.size()), problem.rows);
  const int64_t slots = problem.tokens * problem.shape.top_k;
  EXPECT_EQ(std::set<int32_t>(draw.index.begin(), draw.index.end()).size(), draw.index.size());
  EXPECT_GE(*std::min_element(draw.index.begin(), draw.index.end()), 0);
  EXPECT_LT(*std::max_element(draw.index.begin(), draw.index.end()), slots);
  size_t begin = 0;
  for (int32_t count : draw.counts) {
    ASSERT_GE(count, 0);
    EXPECT_TRUE(std::is_sorted(draw.index.begin() + begin, draw.index.begin() + begin + count));
    begin += count;
  }
  ASSERT_EQ(static_cast<int64_t>(draw.weights.size()), slots);
  const std::set<int32_t> routed(draw.index.begin(), draw.index.begin() + begin);
  for (int64_t token = 0; token < problem.tokens; ++token) {
    double sum = 0;
    bool whole = true;
    for (int64_t j = 0; j < problem.shape.top_k; ++j) {
      const auto slot = static_cast<int32_t>(token * problem.shape.top_k + j);
      EXPECT_EQ(draw.weights[slot] > 0, routed.contains(slot)) << slot;
      sum += draw.weights[slot];
      whole = whole && routed.contains(slot);
    }
    EXPECT_LE(sum, 1 + 1e-5);
    EXPECT_GE(sum, whole ? 1 - 1e-5 : 0);
  }
}

class RoutingOfEveryKind : public ::testing::TestWithParam<const char*> {};

TEST_P(RoutingOfEveryKind, FillsEveryRowOnce) {
  for (const char* shape : {"e16/t50x4/n8/k8", "e16/t50x4/n8/k8/r37", "e1/t5x1/n8/k8",
                            "e8/t1x8/n8/k8", "e3/t7x2/n8/k8/r1"}) {
    const Problem problem =
        ProblemOf(std::string("forward/bf16/plain/") + shape + "/" + GetParam());
    const auto draw = DrawRouting(problem, 5, {});
    ASSERT_TRUE(draw.ok()) << draw.status();
    ExpectGrouped(problem, *draw);
    EXPECT_EQ(draw->RoutedRows(), problem.rows) << shape;
  }
}

TEST_P(RoutingOfEveryKind, IsTheSameForTheSameSeed) {
  const std::string key = std::string("forward/bf16/plain/e16/t50x4/n8/k8/") + GetParam();
  EXPECT_EQ(Draw(key, 5).index, Draw(key, 5).index);
  EXPECT_EQ(Draw(key, 5).weights, Draw(key, 5).weights);
  EXPECT_NE(Draw(key, 5).weights, Draw(key, 6).weights);
}

// A token never takes an expert twice.
TEST_P(RoutingOfEveryKind, GivesATokenDistinctExperts) {
  const Problem problem =
      ProblemOf(std::string("forward/bf16/plain/e16/t50x4/n8/k8/") + GetParam());
  const RoutingDraw draw = *DrawRouting(problem, 5, {});
  size_t begin = 0;
  for (int32_t count : draw.counts) {
    std::set<int32_t> tokens;
    for (int32_t i = 0; i < count; ++i) tokens.insert(draw.index[begin + i] / 4);
    EXPECT_EQ(tokens.size(), static_cast<size_t>(count));
    begin += count;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, RoutingOfEveryKind,
                         ::testing::Values("balanced", "softmax", "zipf"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Routing, BalancedDiffersByAtMostOneRow) {
  const RoutingDraw draw = Draw("forward/bf16/plain/e7/t10x3/n8/k8/balanced");
  EXPECT_EQ(*std::max_element(draw.counts.begin(), draw.counts.end()), 5);
  EXPECT_EQ(*std::min_element(draw.counts.begin(), draw.counts.end()), 4);
}

TEST(Routing, ZipfIsFarMoreUnevenThanSoftmax) {
  const auto share = [](const RoutingDraw& draw) {
    std::vector<int32_t> counts = draw.counts;
    std::sort(counts.rbegin(), counts.rend());
    return std::accumulate(counts.begin(), counts.begin() + 8, 0.0) /
           static_cast<double>(draw.RoutedRows());
  };
  EXPECT_LT(share(Draw("forward/bf16/plain/e128/t1024x8/n8/k8/softmax")), 0.25);
  EXPECT_GT(share(Draw("forward/bf16/plain/e128/t1024x8/n8/k8/zipf")), 0.3);
}

// The greatest counts that the peers' benchmark has seen with the same distribution: 228 of 8192
// rows.
TEST(Routing, SoftmaxIsAsUnevenAsExpertBiasesOfThreeTenths) {
  const RoutingDraw draw = Draw("forward/bf16/plain/e128/t1024x8/n8/k8/softmax");
  const int32_t greatest = *std::max_element(draw.counts.begin(), draw.counts.end());
  EXPECT_GT(greatest, 120);
  EXPECT_LT(greatest, 350);
}

TEST(Routing, ACapturedHistogramIsDrawnExactly) {
  const std::vector<int64_t> counts = {7, 0, 10, 3};
  const Histograms histograms = {{HistogramHash(counts), counts}};
  Problem problem = ProblemOf("forward/bf16/plain/e4/t10x2/n8/k8");
  problem.routing = {kCounts, HistogramHash(counts)};
  const auto draw = DrawRouting(problem, 1, histograms);
  ASSERT_TRUE(draw.ok()) << draw.status();
  ExpectGrouped(problem, *draw);
  EXPECT_THAT(draw->counts, ::testing::ElementsAre(7, 0, 10, 3));
}

TEST(Routing, ACapturedHistogramIsScaledToTheRows) {
  const std::vector<int64_t> counts = {7, 0, 10, 3};
  const Histograms histograms = {{HistogramHash(counts), counts}};
  Problem problem = ProblemOf("forward/bf16/plain/e4/t100x2/n8/k8");
  problem.routing = {kCounts, HistogramHash(counts)};
  EXPECT_THAT(DrawRouting(problem, 1, histograms)->counts, ::testing::ElementsAre(70, 0, 100, 30));
}

TEST(Routing, ErrorsOfCapturedHistogramsSayWhatIsWrong) {
  Problem problem = ProblemOf("forward/bf16/plain/e4/t10x2/n8/k8");
  const auto error = [&](const std::vector<int64_t>& counts) {
    problem.routing = {kCounts, HistogramHash(counts)};
    return std::string(
        DrawRouting(problem, 1, {{HistogramHash(counts), counts}}).status().message());
  };
  EXPECT_THAT(error({1, 2, 3}), HasSubstr("of 3 experts, but the problem has 4"));
  EXPECT_THAT(error({0, 0, 0, 0}), HasSubstr("not all of them zero"));
  EXPECT_THAT(error({1, -1, 1, 1}), HasSubstr("negative"));
  problem.routing = {kCounts, 0x1234};
  EXPECT_THAT(std::string(DrawRouting(problem, 1, {}).status().message()),
              HasSubstr("--routing counts:FILE"));
}

TEST(Routing, AMixIsDrawnOneRoutingAfterTheOther) {
  const std::string shape = "forward/bf16/plain/e4/t10x2/n8/k8/";
  const Problem mix = ProblemOf(shape + "softmax+zipf+counts-0000abcd");
  EXPECT_TRUE(absl::IsInvalidArgument(DrawRouting(mix, 1, {{0xabcd, {1, 1, 1, 1}}}).status()));
  EXPECT_THAT(EachRouting(mix),
              ::testing::ElementsAre(ProblemOf(shape + "softmax"), ProblemOf(shape + "zipf"),
                                     ProblemOf(shape + "counts-0000abcd")));
  EXPECT_THAT(EachRouting(ProblemOf(shape + "zipf")),
              ::testing::ElementsAre(ProblemOf(shape + "zipf")));
}

TEST(Routing, AMixNeedsItsHistogram) {
  const Problem mix = ProblemOf("forward/bf16/plain/e4/t10x2/n8/k8/softmax+counts-0000abcd");
  EXPECT_TRUE(CheckRouting(mix, {{0xabcd, {1, 1, 1, 1}}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRouting(mix, {})));
}

TEST(SparseRouting, LeavesExpertsEmptyAndOneWithASingleRow) {
  const Problem problem = ProblemOf("forward/bf16/gather/e16/t50x4/n8/k8");
  const RoutingDraw draw = DrawSparseRouting(problem, 3);
  ExpectGrouped(problem, draw);
  EXPECT_EQ(draw.counts.front(), 0);
  EXPECT_EQ(draw.counts.back(), 0);
  EXPECT_GE(std::count(draw.counts.begin(), draw.counts.end(), 0), 8);
  EXPECT_GE(std::count(draw.counts.begin(), draw.counts.end(), 1), 1);
  EXPECT_LT(draw.RoutedRows(), problem.rows);
  EXPECT_GT(draw.RoutedRows(), problem.rows / 2);
}

TEST(SparseRouting, IsPossibleForTheSmallestProblems) {
  const RoutingDraw one = DrawSparseRouting(ProblemOf("forward/bf16/plain/e1/t1x1/n8/k8"), 3);
  EXPECT_THAT(one.counts, ::testing::ElementsAre(0));
  const Problem two = ProblemOf("forward/bf16/plain/e2/t2x2/n8/k8");
  ExpectGrouped(two, DrawSparseRouting(two, 3));
  EXPECT_EQ(DrawSparseRouting(two, 3).RoutedRows(), 3);
}

TEST(Routing, TheLargestDrawTakesWellUnderASecond) {
  const auto start = std::chrono::steady_clock::now();
  Draw("forward/bf16/gather/e256/t16384x8/n8/k8/softmax");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

}  // namespace
}  // namespace moetune
