#include "kernels/cost_model.h"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "kernels/registry.h"
#include "tests/testing/fictional_devices.h"

namespace moetune {
namespace {

using testing::HasSubstr;

Problem Parse(std::string_view key) {
  const absl::StatusOr<Problem> problem = ParseProblem(key);
  EXPECT_TRUE(problem.ok()) << problem.status();
  return problem.value_or(Problem());
}

// Small and large models, decoding and prefilling, of every kind of routing and dtype.
std::vector<Problem> ManyProblems() {
  std::vector<Problem> problems;
  for (const std::string_view key : {"forward/bf16/plain/e1/t1x1/n64/k64/balanced",
                                     "forward/bf16/gather/e128/t1x8/n1536/k2048/softmax",
                                     "forward/fp16-fp32/scatter+scale/e256/t1x8/n7168/k2048/zipf",
                                     "forward/bf16/gather/e16/t1x1/n16384/k5120/softmax+zipf",
                                     "forward/bf16/scatter/e8/t1x2/n4096/k14336/counts-00000001",
                                     "forward/fp32/plain/e60/t1x4/n1/k1/softmax"}) {
    for (const int64_t tokens : {1, 3, 100, 4096, 1'000'000}) {
      Problem problem = Parse(key);
      problem.tokens = tokens;
      problem.rows = tokens * problem.shape.top_k;
      problems.push_back(problem);
    }
  }
  return problems;
}

// At most about 50 of the legal candidates of each family, spread over its space.
std::vector<Candidate> SomeCandidates(const Problem& problem, const DeviceSpec& device) {
  std::vector<Candidate> candidates;
  for (const Family* family : Families()) {
    const std::vector<Config> legal = EnumerateLegal(*family, problem, device);
    for (size_t i = 0; i < legal.size(); i += legal.size() / 50 + 1) {
      candidates.push_back({family, legal[i]});
    }
  }
  return candidates;
}

double DefaultUs(const Problem& problem, const DeviceSpec& device) {
  return EstimateUs(problem, DefaultCandidate(problem, device).value(), device, nullptr);
}

TEST(EstimateUs, IsFiniteAndNeverBelowTheFloor) {
  for (const Problem& problem : ManyProblems()) {
    for (const DeviceSpec& device : {Fiction100(), Fable75(), *FindKnownDevice("h200")}) {
      const double floor = FloorUs(problem, device);
      EXPECT_GT(floor, 0);
      for (const Candidate& candidate : SomeCandidates(problem, device)) {
        const double us = EstimateUs(problem, candidate, device, nullptr);
        ASSERT_TRUE(std::isfinite(us)) << ProblemKey(problem);
        ASSERT_GT(us, floor) << ProblemKey(problem) << " " << candidate.config.Text() << " on "
                             << device.name;
      }
    }
  }
}

TEST(EstimateUs, GrowsWithTheWork) {
  const DeviceSpec device = FindKnownDevice("h200").value();
  for (const Problem& problem : ManyProblems()) {
    if (problem.tokens > 10000) continue;
    for (const Candidate& candidate : SomeCandidates(problem, device)) {
      const double us = EstimateUs(problem, candidate, device, nullptr);
      const auto of = [&](auto change) {
        Problem larger = problem;
        change(larger);
        return EstimateUs(larger, candidate, device, nullptr);
      };
      // Not strictly: in a small problem more tiles keep more of the memory busy.
      EXPECT_GT(of([](Problem& p) { p.tokens *= 4, p.rows *= 4; }), 0.85 * us);
      EXPECT_GT(of([](Problem& p) { p.shape.n *= 4; }), 0.85 * us);
      EXPECT_GT(of([](Problem& p) { p.shape.k *= 64; }), us);
    }
  }
}

TEST(EstimateUs, TheBestOfAllConfigsGrowsWithTokens) {
  for (Problem problem : ManyProblems()) {
    if (problem.tokens != 1) continue;
    const double one_us = DefaultUs(problem, Fiction100());
    double last_us = one_us;
    for (problem.tokens = 4; problem.tokens <= 1 << 20; problem.tokens *= 4) {
      problem.rows = problem.tokens * problem.shape.top_k;
      const double us = DefaultUs(problem, Fiction100());
      EXPECT_GT(us, 0.9 * last_us) << ProblemKey(problem);
      last_us = us;
    }
    EXPECT_GT(last_us, 2 * one_us) << ProblemKey(problem);
  }
}

TEST(EstimateUs, AFasterDeviceIsNotSlower) {
  for (const Problem& problem : ManyProblems()) {
    EXPECT_LE(DefaultUs(problem, Fiction200()), DefaultUs(problem, Fiction100()))
        << ProblemKey(problem);
  }
}

TEST(EstimateUs, KnownFactsCount) {
  const Problem problem = Parse("forward/bf16/plain/e16/t64x1/n4096/k4096");
  const Candidate candidate = {
      FindFamily("reference").value(),
      {{"block_k", 32}, {"block_m", 16}, {"block_n", 32}, {"threads", 64}}};
  const auto us = [&](const KernelFacts& facts) {
    return EstimateUs(problem, candidate, Fiction100(), &facts);
  };
  const KernelFacts unknown;
  EXPECT_EQ(us(unknown), EstimateUs(problem, candidate, Fiction100(), nullptr));
  EXPECT_GT(us({.resident_ctas = 1}), us({.resident_ctas = 8})) << "fewer loads in flight";
  EXPECT_GT(us({.registers = 255, .static_shared_bytes = 200'000}), us(unknown));
}

TEST(EstimateUs, TheSizesOfKeysDoNotOverflow) {
  for (const std::string_view key :
       {"forward/bf16/plain/e1/t1x1/n1/k1/balanced", "forward/bf16/plain/e1073741824/t1x1/n1/k1",
        "forward/bf16/plain/e1073741824/t1x1/n1/k1/balanced",
        "forward/fp32/plain/e1/t1073741824x1/n64/k1073741",
        "forward/bf16/plain/e1/t1x1/n1073741824/k900000",
        "forward/bf16/plain/e1/t1x1/n1/k1073741824", "forward/bf16/plain/e1/t1073741824x1/n1/k1",
        "forward/bf16/scatter/e1000000/t134217728x8/n16/k1000000"}) {
    const Problem problem = Parse(key);
    for (const DeviceSpec& device : {Fiction100(), Fable75()}) {
      const absl::StatusOr<Candidate> chosen = DefaultCandidate(problem, device);
      ASSERT_TRUE(chosen.ok()) << chosen.status();
      const double us = EstimateUs(problem, *chosen, device, nullptr);
      EXPECT_TRUE(std::isfinite(us) && us >= FloorUs(problem, device)) << key << ": " << us;
    }
  }
}

TEST(FloorUs, IsTheLargerOfComputeAndMemory) {
  const DeviceSpec device = Fiction100();
  // 8192 rows: 2 * 8192 * 8192 * 8192 flops at 700 TFLOP/s.
  EXPECT_NEAR(FloorUs(Parse("forward/bf16/plain/e8/t8192x1/n8192/k8192/balanced"), device),
              2 * std::pow(8192, 3) / 700e6, 1);
  EXPECT_NEAR(FloorUs(Parse("forward/fp32/plain/e8/t8192x1/n8192/k8192/balanced"), device),
              2 * std::pow(8192, 3) / 50e6, 1)
      << "fp32 runs on FMAs";
  // 8 rows touch 8 of the 128 experts: their weights at 3600 GB/s.
  EXPECT_NEAR(FloorUs(Parse("forward/bf16/plain/e128/t1x8/n4096/k4096/balanced"), device),
              (8.0 * 4096 * 4096 + 8 * 4096 * 2) * 2 / 3600e3, 0.01);
}

// 8 of 128 experts: 50.3 MB of weights at 4.3 TB/s.
TEST(FloorUs, TakesTheExpertsThatAKnownRoutingTouches) {
  const DeviceSpec h200 = FindKnownDevice("h200").value();
  EXPECT_NEAR(FloorUs(Parse("forward/bf16/gather/e128/t1x8/n1536/k2048"), 8, h200), 11.7, 0.05);
  EXPECT_NEAR(FloorUs(Parse("forward/bf16/gather/e128/t16384x8/n1536/k2048"), 128, h200), 1043.8,
              0.5);
}

TEST(FloorUs, SkewedRoutingTouchesFewerExperts) {
  const DeviceSpec device = Fiction100();
  EXPECT_LT(FloorUs(Parse("forward/bf16/plain/e128/t32x8/n4096/k4096/softmax"), device),
            FloorUs(Parse("forward/bf16/plain/e128/t32x8/n4096/k4096/balanced"), device));
}

TEST(DefaultCandidate, IsTheLegalOneOfLeastEstimate) {
  const DeviceSpec device = Fiction100();
  for (const std::string_view key :
       {"forward/bf16/gather/e128/t16x8/n1536/k2048", "forward/fp32/plain/e7/t100x2/n33/k5"}) {
    const Problem problem = Parse(key);
    const double least = DefaultUs(problem, device);
    for (const Family* family : Families()) {
      for (const Config& config : EnumerateLegal(*family, problem, device)) {
        EXPECT_LE(least, EstimateUs(problem, {family, config}, device, nullptr));
      }
    }
  }
}

TEST(DefaultCandidate, IsLegalForEveryProblemOnEveryKnownDevice) {
  for (const Problem& problem : ManyProblems()) {
    for (const KnownDevice& known : KnownDevices()) {
      const absl::StatusOr<Candidate> chosen = DefaultCandidate(problem, known.spec);
      ASSERT_TRUE(chosen.ok()) << chosen.status();
      EXPECT_TRUE(IsLegal(*chosen->family, problem, chosen->config, known.spec))
          << ProblemKey(problem) << " on " << known.alias;
    }
  }
}

TEST(DefaultCandidate, IsOnTensorCoresWhereTheyCanTakeTheProblem) {
  for (const Problem& problem : ManyProblems()) {
    if (problem.shape.experts == 1) continue;  // one tile of it is little work for either
    const bool taken = problem.shape.dtype != Dtype::kFp32 && problem.shape.k % 8 == 0;
    for (const KnownDevice& known : KnownDevices()) {
      const bool reference = !taken || known.spec.compute_capability < 80;
      EXPECT_EQ(DefaultCandidate(problem, known.spec)->family->name == "reference", reference)
          << ProblemKey(problem) << " on " << known.alias;
    }
  }
}

// Qwen3 with few tokens: memory's time, whichever config.
constexpr std::string_view kMemoryBound = "forward/bf16/gather/e128/t64x8/n1536/k2048";

double WgmmaUs(std::string_view key, std::string_view config) {
  const Candidate candidate = {FindFamily("sm90_wgmma").value(), ParseConfig(config).value()};
  return EstimateUs(Parse(key), candidate, FindKnownDevice("h200").value(), nullptr);
}

// A config of sm90_wgmma: its sizes, and what else is said of it.
std::string Wgmma(int block_m, int block_n, int block_k, int stages, std::string_view others) {
  return absl::StrFormat("block_m=%d block_n=%d block_k=%d stages=%d tail_step=16 %s", block_m,
                         block_n, block_k, stages, others);
}

TEST(EstimateUs, AMemoryBoundProblemPrefersDeepPipelines) {
  const auto us = [](int block_k, int stages) {
    return WgmmaUs(kMemoryBound, Wgmma(64, 128, block_k, stages,
                                       "group_m=16 cluster=1 consumers=2 pingpong=0 sort=0"));
  };
  EXPECT_LT(us(128, 4), us(64, 6));
  EXPECT_LT(us(64, 8), us(64, 4));
}

TEST(EstimateUs, AMemoryBoundProblemPrefersWholeCacheLines) {
  const auto us = [](int64_t block_k, int64_t stages, const DeviceSpec& device) {
    const Config config = {{"block_k", block_k}, {"block_m", 16},  {"block_n", 128},
                           {"group_m", 1},       {"skip_tail", 0}, {"stages", stages},
                           {"swap_ab", 1},       {"warps_m", 1},   {"warps_n", 4}};
    return EstimateUs(Parse(kMemoryBound), {FindFamily("sm80_mma").value(), config}, device,
                      nullptr);
  };
  for (const std::string_view device : {"a100", "h100"}) {
    const DeviceSpec spec = FindKnownDevice(device).value();
    EXPECT_LT(us(64, 3, spec), 0.9 * us(32, 5, spec)) << "as many bytes under way on " << device;
  }
}

TEST(EstimateUs, AStoreBesideTheNextTileCostsNothing) {
  const std::string_view key = "forward/bf16/plain/e128/t16384x8/n2048/k768";
  const auto us = [&](int pingpong) {
    return WgmmaUs(key, absl::StrFormat("group_m=16 block_k=64 block_m=160 block_n=128 cluster=2 "
                                        "consumers=2 pingpong=%d sort=0 stages=5 tail_step=16",
                                        pingpong));
  };
  EXPECT_LT(us(1), us(0));
}

constexpr std::string_view kTwoShare = "group_m=16 cluster=1 consumers=2 pingpong=0 sort=0";
constexpr std::string_view kTakeTurns = "group_m=16 cluster=1 consumers=2 pingpong=1 sort=0";
constexpr std::string_view kManyTokens = "forward/bf16/gather/e128/t16384x8/n1536/k2048";

TEST(EstimateUs, AMemoryBoundProblemPrefersTwoLinesOfARowAtATime) {
  for (const std::string_view tokens : {"16", "64", "256"}) {
    const std::string key = absl::StrFormat("forward/bf16/gather/e128/t%sx8/n1536/k2048", tokens);
    const double ratio = WgmmaUs(key, Wgmma(64, 128, 128, 4, kTwoShare)) /
                         WgmmaUs(key, Wgmma(64, 128, 64, 8, kTwoShare));
    EXPECT_LT(ratio, 0.985) << key << ", though fewer stages are under way";
  }
}

TEST(EstimateUs, OneTokenPrefersTilesForMostSmsButNoMore) {
  const std::string_view many = "forward/bf16/gather/e128/t1x8/n1536/k2048";
  EXPECT_LT(WgmmaUs(many, Wgmma(8, 128, 128, 6, kTwoShare)),
            WgmmaUs(many, Wgmma(8, 64, 256, 6, kTakeTurns)))
      << "96 tiles are enough: 23.5 and 24.8 µs on an H200";
  const std::string_view few = "forward/bf16/scatter+scale/e16/t1x1/n5120/k8192";
  EXPECT_LT(1.3 * WgmmaUs(few, Wgmma(8, 64, 128, 8, kTakeTurns)),
            WgmmaUs(few, Wgmma(8, 256, 128, 3, kTwoShare)))
      << "20 tiles on 132 SMs, each of which takes in only so much: 31.5 and 50.5 µs";
}

TEST(EstimateUs, ATileHoldsMostExperts) {
  const std::string_view key = "forward/bf16/gather/e128/t1024x8/n1536/k2048";
  const std::string_view three = "group_m=16 cluster=1 consumers=3 pingpong=0 sort=0";
  EXPECT_LT(WgmmaUs(key, Wgmma(128, 192, 64, 5, three)), WgmmaUs(key, Wgmma(64, 192, 64, 6, three)))
      << "half of the experts' W is read twice: 225 and 237 µs on an H200";
}

TEST(EstimateUs, WideTilesAreBoundByWhatGoesThroughSharedMemory) {
  const auto us = [](int block_m, int block_n, int stages, int consumers) {
    return WgmmaUs(
        kManyTokens,
        Wgmma(block_m, block_n, 64, stages,
              absl::StrFormat("group_m=16 cluster=2 pingpong=0 sort=0 consumers=%d", consumers)));
  };
  const double widest_us = us(192, 256, 3, 2);
  EXPECT_NEAR(us(192, 192, 4, 3) / widest_us, 1, 0.05);
  EXPECT_LT(1.05 * widest_us, us(96, 256, 4, 2));
  EXPECT_LT(1.05 * widest_us, us(192, 128, 5, 2));
}

// Of wide tiles, as clusters of two or as CTAs of their own, which draw them.
double UsOfClusters(std::string_view key, int cluster, int block_m, int block_n) {
  return WgmmaUs(key, Wgmma(block_m, block_n, 64, block_m * block_n > 192 * 192 ? 3 : 4,
                            absl::StrFormat("group_m=16 cluster=%d consumers=%d pingpong=0 sort=0",
                                            cluster, block_n == 192 ? 3 : 2)));
}

TEST(EstimateUs, ACtaOfAClusterWaitsForRowsThatTheOtherGathers) {
  const auto ratio = [](std::string_view key) {
    return UsOfClusters(key, 2, 128, 256) / UsOfClusters(key, 1, 128, 256);
  };
  EXPECT_LT(1.02 * ratio("forward/bf16/plain/e128/t16384x8/n1536/k2048"), ratio(kManyTokens));
}

// Mixtral's down projection: few experts and a large k.
std::string LargeTiles(int tokens) {
  return absl::StrFormat("forward/bf16/scatter+scale/e8/t%dx2/n4096/k14336", tokens);
}

TEST(EstimateUs, AClusterSharesTheReadsOfL2) {  // 4855 in place of 5132 µs on an H200
  EXPECT_LT(UsOfClusters(LargeTiles(16384), 2, 192, 256),
            UsOfClusters(LargeTiles(16384), 1, 192, 256));
}

TEST(EstimateUs, LargeTilesAreBestMadeFirst) {  // 1209 in place of 1300 µs on an H200
  const auto us = [](std::string_view sort) {
    const std::string others =
        absl::StrFormat("group_m=16 cluster=2 consumers=2 pingpong=0 %s", sort);
    return WgmmaUs(LargeTiles(4096), Wgmma(192, 256, 64, 3, others));
  };
  EXPECT_LT(us("sort=1"), us("sort=0"));
}

TEST(EstimateUs, ManyWideTilesComeNearTheFloor) {
  const double floor = FloorUs(Parse(LargeTiles(16384)), FindKnownDevice("h200").value());
  EXPECT_LT(UsOfClusters(LargeTiles(16384), 2, 192, 256), 1.25 * floor)
      << "shared memory is read while tensor cores multiply";
}

TEST(EstimateUs, AnExpertLargerThanL2IsWalkedAlongItsTokens) {
  const auto ratio = [](std::string_view key) {
    const std::string others = " cluster=1 consumers=3 pingpong=0 sort=0";
    return WgmmaUs(key, Wgmma(192, 192, 64, 4, "group_m=1" + others)) /
           WgmmaUs(key, Wgmma(192, 192, 64, 4, "group_m=16" + others));
  };
  EXPECT_GT(ratio("forward/bf16/gather/e8/t4096x2/n28672/k4096"), 1.05) << "W is read each time";
  EXPECT_THAT(ratio(kManyTokens), testing::AllOf(testing::Gt(1), testing::Lt(1.02))) << "L2 has it";
}

TEST(DefaultCandidate, IsNarrowForFewTokensAndWideForMany) {
  for (const std::string_view device : {"h100", "h200"}) {
    const DeviceSpec spec = FindKnownDevice(device).value();
    const Config few = DefaultCandidate(Parse(kMemoryBound), spec)->config;
    EXPECT_LE(few.Get("block_m"), 64) << device;
    EXPECT_LE(few.Get("block_n"), 128) << "wide tiles end late on " << device;
    EXPECT_GE(few.Get("block_k"), 128) << "two cache lines at a time on " << device;
    EXPECT_EQ(few.Get("cluster"), 1) << device;
    const Config many =
        DefaultCandidate(Parse("forward/bf16/gather/e16/t16384x1/n16384/k5120"), spec)->config;
    EXPECT_GE(many.Get("block_m") * many.Get("block_n"), 192 * 192) << device;
    EXPECT_GT(many.Get("group_m"), 1) << device;
    EXPECT_EQ(many.Get("sort"), 1) << "its large tiles end late on " << device;
  }
}

TEST(DefaultCandidate, IsAClusterForFewExpertsWithALargeK) {
  for (const std::string& key : {LargeTiles(4096), LargeTiles(16384)}) {
    const Config chosen = DefaultCandidate(Parse(key), FindKnownDevice("h200").value())->config;
    EXPECT_EQ(chosen.Get("cluster"), 2) << key;
    EXPECT_EQ(chosen.Get("pingpong"), 0) << key << ": it takes narrower tiles";
    EXPECT_GE(chosen.Get("block_m") * chosen.Get("block_n"), 192 * 192) << key;
  }
}

TEST(DefaultCandidate, SaysThatNothingRunsOnAnOldDevice) {
  const absl::Status status =
      DefaultCandidate(Parse("forward/bf16/plain/e8/t1x1/n8/k8"), Relic30()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("no kernel family runs forward/bf16/plain/e8/t1x1/n8/k8/"
                                          "softmax on Relic 30 (sm_30)"));
}

TEST(ResidentCtas, IsBoundByThreadsSharedMemoryAndRegisters) {
  const DeviceSpec device = Fiction100();  // 2048 threads, 233,472 bytes and 65,536 registers an SM
  EXPECT_EQ(ResidentCtas(device, {.threads = 256}, 0), 8);
  EXPECT_EQ(ResidentCtas(device, {.threads = 256, .dynamic_shared_bytes = 100'000}, 0), 2);
  EXPECT_EQ(ResidentCtas(device, {.threads = 256, .dynamic_shared_bytes = 116'736}, 0), 1)
      << "half the memory of an SM, but the system keeps some of each CTA's";
  EXPECT_EQ(ResidentCtas(device, {.threads = 256}, 64), 4);
  EXPECT_EQ(ResidentCtas(device, {.threads = 256}, 65), 3) << "registers come by eights";
  EXPECT_EQ(ResidentCtas(device, {.threads = 1024, .dynamic_shared_bytes = 230'000}, 255), 1);
  EXPECT_EQ(ResidentCtas(Fable75(), {.threads = 256}, 0), 4);
  DeviceSpec consumer = Fiction100();
  consumer.compute_capability = 89;
  EXPECT_EQ(ResidentCtas(consumer, {.threads = 256}, 0), 6);
}

}  // namespace
}  // namespace moetune
