#include "db/curve.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/cost_model.h"
#include "kernels/space.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

Curve CurveOf(const std::vector<Winner>& winners) {
  Curve curve;
  for (const Winner& winner : winners) {
    const auto sequence = static_cast<int64_t>(curve.history.size()) + 1;
    curve.history.push_back({sequence, NewUuid(), std::make_shared<const Winner>(winner)});
  }
  Rebuild(curve);
  return curve;
}

Curve CurveOfKeys(const std::vector<std::string>& keys) {
  std::vector<Winner> winners;
  for (const std::string& key : keys) winners.push_back(WinnerFor(ProblemOf(key)));
  return CurveOf(winners);
}

std::string KeyOf(const Match& match) {
  return match ? ProblemKey(match.entry->winner->problem) : "nothing";
}

TEST(Axis, OfBracketingRowCountsTheNearerInLogSpaceAnswers) {
  const Curve curve = CurveOf(
      {WinnerFor(SmallProblem(1024)), WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(64))});
  const Match below = curve.measured.Bucket(SmallProblem(31), Fiction100());
  EXPECT_EQ(KeyOf(below), ProblemKey(SmallProblem(16)));
  EXPECT_NEAR(below.distance, 0.954, 0.001);
  EXPECT_EQ(KeyOf(curve.measured.Bucket(SmallProblem(32), Fiction100())),
            ProblemKey(SmallProblem(64)));
  EXPECT_EQ(KeyOf(curve.measured.Bucket(SmallProblem(300), Fiction100())),
            ProblemKey(SmallProblem(1024)));
}

TEST(Axis, BeyondTheEndsTheEndAnswersUpToTwiceOrHalfItsRows) {
  const Curve curve = CurveOf({WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(64))});
  EXPECT_EQ(KeyOf(curve.measured.Bucket(SmallProblem(8), Fiction100())),
            ProblemKey(SmallProblem(16)));
  EXPECT_FALSE(curve.measured.Bucket(SmallProblem(7), Fiction100()));
  const Match above = curve.measured.Bucket(SmallProblem(128), Fiction100());
  EXPECT_EQ(KeyOf(above), ProblemKey(SmallProblem(64)));
  EXPECT_DOUBLE_EQ(above.distance, 1);
  EXPECT_FALSE(curve.measured.Bucket(SmallProblem(1 << 20), Fiction100()));
}

TEST(Axis, FarFromBothSidesNeitherAnswers) {
  const Curve curve = CurveOf({WinnerFor(SmallProblem(16)), WinnerFor(SmallProblem(16384))});
  EXPECT_EQ(KeyOf(curve.measured.Bucket(SmallProblem(64), Fiction100())),
            ProblemKey(SmallProblem(16)));
  EXPECT_FALSE(curve.measured.Bucket(SmallProblem(512), Fiction100()));
}

TEST(Axis, AnEmptyOneHasNothing) {
  EXPECT_FALSE(Axis().Exact(SmallProblem(16)));
  EXPECT_FALSE(Axis().Bucket(SmallProblem(16), Fiction100()));
}

TEST(Axis, ABucketWhoseConfigIsIllegalForTheProblemLeavesItToTheOtherSide) {
  // From 2^29 tokens on, tiles of 16 x 32 are more than a grid holds.
  constexpr int64_t kLimit = int64_t{1} << 29;
  const auto problem = [](int64_t tokens) {
    return ProblemOf(absl::StrFormat("forward/bf16/plain/e8/t%dx1/n2048/k64/softmax", tokens));
  };
  Winner small_tiles = WinnerFor(problem(kLimit - (1 << 20)));
  small_tiles.config = {{"block_k", 32}, {"block_m", 16}, {"block_n", 32}, {"threads", 64}};
  Winner large_tiles = WinnerFor(problem(2 * kLimit));
  large_tiles.config = {{"block_k", 32}, {"block_m", 128}, {"block_n", 128}, {"threads", 256}};
  const Curve curve = CurveOf({small_tiles, large_tiles});
  const auto config = [&](int64_t tokens) {
    return curve.measured.Bucket(problem(tokens), Fiction100()).entry->winner->config;
  };
  EXPECT_EQ(config(kLimit - (1 << 19)), small_tiles.config);
  EXPECT_EQ(config(kLimit), large_tiles.config);
  EXPECT_FALSE(CurveOf({small_tiles}).measured.Bucket(problem(kLimit), Fiction100()));
}

TEST(Axis, TheOtherSideAnswersFromNoFurtherAwayThanTheNearer) {
  Winner near = WinnerFor(SmallProblem(16));
  const Candidate mma = DefaultCandidate(near.problem, Fiction100()).value();
  ASSERT_FALSE(IsLegal(*mma.family, near.problem, mma.config, Fable75()));
  near.family = mma.family->name;
  near.config = mma.config;
  const auto other_side = [&](int64_t tokens) {
    const Curve curve = CurveOf({near, WinnerFor(SmallProblem(tokens))});
    return KeyOf(curve.measured.Bucket(SmallProblem(17), Fable75()));
  };
  EXPECT_EQ(other_side(68), ProblemKey(SmallProblem(68)));
  EXPECT_EQ(other_side(69), "nothing");
}

TEST(Axis, ADeviceThatNoConfigIsLegalOnGetsNothing) {
  const Curve curve = CurveOf({WinnerFor(SmallProblem(16))});
  EXPECT_FALSE(curve.measured.Bucket(SmallProblem(16), Relic30()));
}

TEST(Axis, RowsAndNotTokensAreItsMeasure) {
  const Curve curve = CurveOfKeys({"forward/bf16/plain/e8/t1024x2/n1024/k512/r512/softmax",
                                   "forward/bf16/plain/e8/t1024x2/n1024/k512/softmax"});
  EXPECT_EQ(KeyOf(curve.measured.Bucket(SmallProblem(200), Fiction100())),
            "forward/bf16/plain/e8/t1024x2/n1024/k512/r512/softmax");
}

TEST(Axis, TheSameRowsFromOtherTokensAreABucketAndTheNearestTokensWin) {
  const Curve curve = CurveOfKeys({"forward/bf16/plain/e8/t4096x2/n1024/k512/r512/softmax",
                                   "forward/bf16/plain/e8/t1024x2/n1024/k512/r512/softmax",
                                   "forward/bf16/plain/e8/t300x2/n1024/k512/softmax"});
  EXPECT_FALSE(curve.measured.Exact(SmallProblem(256)));
  const Match match = curve.measured.Bucket(SmallProblem(256), Fiction100());
  EXPECT_EQ(KeyOf(match), "forward/bf16/plain/e8/t1024x2/n1024/k512/r512/softmax");
  EXPECT_DOUBLE_EQ(match.distance, 2);
}

TEST(Axis, TheRoutingAskedForIsTaken) {
  const std::string shape = "forward/bf16/plain/e8/t16x2/n1024/k512/";
  const std::vector<std::string> keys = {shape + "softmax+zipf", shape + "zipf", shape + "softmax",
                                         shape + "counts-0000abcd", shape + "counts-0000abce"};
  const Curve curve = CurveOfKeys(keys);
  for (const std::string& key : keys) {
    EXPECT_EQ(KeyOf(curve.measured.Exact(ProblemOf(key))), key);
  }
}

TEST(Axis, WithoutTheRoutingAskedForTheWidestMixAnswersSoftmaxFirst) {
  const std::string shape = "forward/bf16/plain/e8/t16x2/n1024/k512/";
  const Curve widest = CurveOfKeys({shape + "softmax", shape + "balanced+zipf", shape + "zipf"});
  const Problem asked = ProblemOf(shape + "counts-0000abcd");
  EXPECT_EQ(KeyOf(widest.measured.Exact(asked)), shape + "balanced+zipf");
  const Curve narrow = CurveOfKeys({shape + "balanced", shape + "softmax", shape + "zipf"});
  EXPECT_EQ(KeyOf(narrow.measured.Exact(asked)), shape + "softmax");
}

TEST(Curve, OnlyTheNewestOfAProblemStandsApartForEstimates) {
  Winner newer = WinnerFor(SmallProblem(16));
  newer.time_us = 40;
  Winner estimate = WinnerFor(SmallProblem(16));
  estimate.estimated = true;
  const Curve curve = CurveOf({WinnerFor(SmallProblem(16)), newer, estimate});
  EXPECT_EQ(curve.standing.size(), 2u);
  EXPECT_EQ(*curve.measured.Exact(SmallProblem(16)).entry->winner, newer);
  EXPECT_EQ(*curve.estimated.Exact(SmallProblem(16)).entry->winner, estimate);
}

TEST(Curve, WhatThisProgramCannotRunStandsButIsOnNoAxis) {
  Winner unknown_family = WinnerFor(SmallProblem(16));
  unknown_family.family = "sm999_magic";
  Winner unknown_config = WinnerFor(SmallProblem(32));
  unknown_config.config.Set("block_m", 7);
  const Curve curve = CurveOf({unknown_family, unknown_config});
  EXPECT_EQ(curve.standing.size(), 2u);
  EXPECT_TRUE(curve.measured.entries().empty());
}

}  // namespace
}  // namespace moetune
