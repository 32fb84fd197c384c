// The host half of family `sm90_wgmma`; its device half takes a GPU.
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/registry.h"
#include "kernels/space.h"
#include "tests/testing/fictional_devices.h"

namespace moetune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Family& Wgmma() { return **FindFamily("sm90_wgmma"); }

Problem Parse(std::string_view key) { return ParseProblem(key).value(); }

Config SomeConfig() {
  return {{"block_k", 64}, {"block_m", 128}, {"block_n", 256}, {"cluster", 2}, {"consumers", 2},
          {"group_m", 16}, {"pingpong", 0},  {"sort", 0},      {"stages", 4},  {"tail_step", 16}};
}

TEST(Sm90Wgmma, HasAtLeastFiveHundredLegalConfigsForEachFusion) {
  for (const char* key : {"forward/bf16/gather/e128/t1024x8/n1536/k2048",
                          "forward/bf16/gather+swiglu/e128/t1024x8/n1536/k2048",
                          "forward/bf16/scatter+scale/e128/t1024x8/n2048/k768",
                          "forward/fp16/combine/e8/t1024x2/n4096/k14336"}) {
    EXPECT_GE(EnumerateLegal(Wgmma(), Parse(key), Fiction100()).size(), 500u) << key;
  }
}

TEST(Sm90Wgmma, RunsOnHopperAlone) {
  const Problem problem = Parse("forward/bf16/plain/e8/t64x2/n256/k256");
  DeviceSpec device = Fiction100();
  EXPECT_TRUE(IsLegal(Wgmma(), problem, SomeConfig(), device));
  for (const int other : {80, 89, 100, 120}) {
    device.compute_capability = other;
    EXPECT_FALSE(IsLegal(Wgmma(), problem, SomeConfig(), device)) << other;
  }
}

TEST(Sm90Wgmma, LeavesToOthersWhatTmaCannotRead) {
  const auto complaint = [](std::string_view key) {
    return std::string(CheckLegal(Wgmma(), Parse(key), SomeConfig(), Fiction100()).message());
  };
  EXPECT_EQ(complaint("forward/bf16/plain/e8/t64x2/n257/k264"), "");
  EXPECT_THAT(complaint("forward/bf16/plain/e8/t64x2/n256/k260"), HasSubstr("k 260"));
  EXPECT_THAT(complaint("forward/fp32/plain/e8/t64x2/n256/k256"), HasSubstr("bf16 or fp16"));
  EXPECT_THAT(complaint("forward/bf16/swiglu/e8/t64x2/n264/k256"), HasSubstr("n 264"));
  EXPECT_THAT(complaint("forward/bf16/gather/e8/t1073741824x1/n256/k40"), HasSubstr("64 GiB"));
  EXPECT_EQ(complaint("forward/bf16/gather/e8/t1048576x2/n256/k256"), "");
  EXPECT_THAT(complaint("forward/bf16/plain/e4000/t64x2/n256/k256"), HasSubstr("4000 experts"));
}

// Launches of more rows than a config was checked for are held to it.
TEST(Sm90Wgmma, ThePlanNamesTheLargestXThatIsLegal) {
  for (const int64_t tokens : {33554431, 33554432}) {
    Problem problem = Parse("forward/bf16/gather/e8/t1x1/n256/k1024");
    problem.tokens = problem.rows = tokens;
    const Plan plan = Wgmma().plan(problem, SomeConfig(), Fiction100(), {});
    EXPECT_EQ(tokens * 1024 <= plan.most_x_elements,
              IsLegal(Wgmma(), problem, SomeConfig(), Fiction100()))
        << tokens;
  }
}

TEST(Sm90Wgmma, TakesTheDeepestPipelineThatFits) {
  std::set<std::pair<std::string, int64_t>> depths;
  const Problem problem = Parse("forward/bf16/gather/e128/t1024x8/n1536/k2048");
  for (Config config : EnumerateLegal(Wgmma(), problem, Fiction100())) {
    const int64_t stages = config.Get("stages");
    config.Set("stages", 0);
    EXPECT_TRUE(depths.insert({config.Text(), 0}).second) << config.Text() << ": " << stages;
  }
}

TEST(Sm90Wgmma, ThePlanCarriesTheOrderOfTiles) {
  const Problem problem = Parse("forward/bf16/plain/e8/t64x2/n256/k520");
  Config config = SomeConfig();
  for (const int group_m : {1, 16}) {
    for (const int sort : {0, 1}) {
      config.Set("group_m", group_m);
      config.Set("sort", sort);
      const LaunchArgs launch = Wgmma().plan(problem, config, Fiction100(), {}).launch;
      EXPECT_EQ(launch.group_m, group_m);
      EXPECT_EQ(launch.sort, sort);
      EXPECT_LT(launch.queue, 0) << "the runtime's to give";
    }
  }
}

TEST(Sm90Wgmma, DrawsWideTilesUnlessInAClusterThatKeepsStep) {
  const Problem problem = Parse("forward/bf16/plain/e8/t64x2/n256/k520");
  for (const int block_m : {8, 16, 32, 64, 128, 192}) {
    for (const int cluster : {1, 2}) {
      Config config = SomeConfig();
      config.Set("block_m", block_m);
      config.Set("cluster", cluster);
      EXPECT_EQ(Wgmma().plan(problem, config, Fiction100(), {}).draws_tiles,
                block_m > 32 && cluster == 1)
          << config.Text();
    }
  }
}

TEST(Sm90Wgmma, ItsBoxesFillAStage) {
  const Problem problem = Parse("forward/bf16/plain/e8/t64x2/n256/k520");
  const Plan plan = Wgmma().plan(problem, SomeConfig(), Fiction100(), {});
  EXPECT_EQ(plan.w.rank, 3);
  EXPECT_THAT(plan.w.sizes, ElementsAre(520, 256, 8, 0, 0));
  EXPECT_THAT(plan.w.pitches, ElementsAre(1040, 1040 * 256, 0, 0));
  EXPECT_THAT(plan.w.box, ElementsAre(64, 128, 1, 0, 0)) << "half of 256 rows for each CTA";
  EXPECT_EQ(plan.x.rank, 2);
  EXPECT_THAT(plan.x.sizes, ElementsAre(520, 128, 0, 0, 0));
  EXPECT_EQ(plan.grid[0] % 2, 0) << "whole clusters";
}

TEST(Sm90Wgmma, ReadsGateBesideUp) {
  const Problem problem = Parse("forward/bf16/gather+swiglu/e8/t64x2/n256/k512");
  const Plan plan = Wgmma().plan(problem, SomeConfig(), Fiction100(), {});
  EXPECT_THAT(plan.w.sizes, ElementsAre(512, 8, 2, 16, 8));
  EXPECT_THAT(plan.w.pitches, ElementsAre(1024, 128 * 1024, 8 * 1024, 256 * 1024));
  EXPECT_THAT(plan.w.box, ElementsAre(64, 8, 2, 8, 1));
  EXPECT_EQ(plan.x.rank, 0) << "gathered rows are not read through TMA";
}

}  // namespace
}  // namespace moetune
