#include "runtime/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cost_model.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/scripted_source.h"

namespace moetune {
namespace {

using testing::HasSubstr;

const Problem kProblem = SmallProblem(64);

Winner WinnerOf(const Candidate& candidate) {
  Winner winner = WinnerFor(kProblem);
  winner.family = std::string(candidate.family->name);
  winner.config = candidate.config;
  return winner;
}

Candidate ModelsChoice() { return FallbackOrder(kProblem, Fiction100()).front(); }

absl::StatusOr<ReadyPoint> ResolveOn(FakeGpu& gpu, ConfigSource* source,
                                     const ReadyTable& table = {}) {
  return Resolve(kProblem, Fiction100(), source, gpu.pool, table);
}

TEST(FallbackOrder, BeginsWithTheDefaultAndHoldsEveryLegalCandidateOnce) {
  const std::vector<Candidate> order = FallbackOrder(kProblem, Fiction100());
  EXPECT_EQ(order.front(), *DefaultCandidate(kProblem, Fiction100()));
  size_t legal = 0;
  for (const Family* family : Families()) {
    for (const Config& config : EnumerateLegal(*family, kProblem, Fiction100())) {
      ++legal;
      EXPECT_EQ(std::ranges::count(order, Candidate{family, config}), 1);
    }
  }
  EXPECT_EQ(order.size(), legal);
}

TEST(FallbackOrder, FamiliesTakeTurns) {
  const std::vector<Candidate> order = FallbackOrder(kProblem, Fiction100());
  const size_t families = Families().size();
  for (size_t i = 0; i < families; ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(order[i].family, order[j].family);
  }
}

TEST(FallbackOrder, IsEmptyWhereNoFamilyRuns) {
  EXPECT_TRUE(FallbackOrder(kProblem, Relic30()).empty());
}

TEST(Resolve, TakesTheSourcesChoiceAndItsTier) {
  FakeGpu gpu;
  const auto source = SourceOf(WinnerOf(ReferenceCandidate(128)), Tier::kBucket);
  const auto point = ResolveOn(gpu, source.get());
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->kernel->candidate(), ReferenceCandidate(128));
  EXPECT_EQ(point->tier, Tier::kBucket);
  EXPECT_TRUE(point->rejected.ok());
}

TEST(Resolve, WithoutASourceTheCostModelDecides) {
  FakeGpu gpu;
  const auto point = ResolveOn(gpu, nullptr);
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->kernel->candidate(), ModelsChoice());
  EXPECT_EQ(point->tier, Tier::kDefault);
  EXPECT_TRUE(point->rejected.ok());
}

TEST(Resolve, AWinnerThatDoesNotCompileFallsBackToTheDefaultAndSaysWhy) {
  const Candidate winner = ReferenceCandidate(128);
  FakeGpu gpu({.faults = {{FakeFaultKind::kCompileError, {"", winner.config}}}});
  const auto source = SourceOf(WinnerOf(winner));
  const auto point = ResolveOn(gpu, source.get());
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->kernel->candidate(), ModelsChoice());
  EXPECT_EQ(point->tier, Tier::kDefault);
  EXPECT_THAT(point->rejected.ToString(), HasSubstr("the script refuses it"));
}

TEST(Resolve, AWinnerThatDoesNotLoadFallsBackToo) {
  const Candidate winner = ReferenceCandidate(128);
  FakeGpu gpu({.faults = {{FakeFaultKind::kLoadError, {"", winner.config}}}});
  const auto source = SourceOf(WinnerOf(winner));
  const auto point = ResolveOn(gpu, source.get());
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_THAT(point->rejected.ToString(), HasSubstr("cannot load reference"));
}

TEST(Resolve, ADefaultThatDoesNotLoadEitherGivesWayToTheNext) {
  const Candidate first = ModelsChoice();
  const Config compiled = CompiledPart(*first.family, first.config);
  FakeGpu gpu({.faults = {{FakeFaultKind::kLoadError, {"", compiled}}}});
  const auto source = SourceOf(WinnerOf(first));
  const auto point = ResolveOn(gpu, source.get());
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->kernel->candidate(), FallbackOrder(kProblem, Fiction100())[1]);
  EXPECT_EQ(gpu.nvrtc.compiles(), 2);  // what failed once is not tried again
}

TEST(Resolve, AWinnerThatIsNotLegalHereOrOfAnUnknownFamilyFallsBack) {
  FakeGpu gpu;
  Winner illegal = WinnerOf(ReferenceCandidate());
  illegal.config.Set("block_m", 24);
  EXPECT_THAT(ResolveOn(gpu, SourceOf(illegal).get())->rejected.ToString(),
              HasSubstr("block_m=24"));
  Winner unknown = WinnerOf(ReferenceCandidate());
  unknown.family = "sm120_dream";
  EXPECT_THAT(ResolveOn(gpu, SourceOf(unknown).get())->rejected.ToString(),
              HasSubstr("'sm120_dream'"));
}

TEST(Resolve, ASourceThatCannotBeReachedFallsBack) {
  FakeGpu gpu;
  const auto source = SourceOf([](const Problem&, const DeviceSpec&) {
    return absl::UnavailableError("localhost:1 does not answer");
  });
  const auto point = ResolveOn(gpu, source.get());
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->rejected.code(), absl::StatusCode::kUnavailable);
}

TEST(Resolve, WhileTheSourceCannotBeReachedOnlyItsOwnChoiceForTheseRowsStands) {
  FakeGpu gpu;
  const auto source = SourceOf(
      [](const Problem&, const DeviceSpec&) { return absl::UnavailableError("no answer"); });
  const LoadedKernel* kernel = *gpu.pool.Get(kProblem, ReferenceCandidate(128), "");
  const ReadyPoint chosen = {.kernel = kernel, .tier = Tier::kExact};
  const ReadyPoint pinned = {.kernel = kernel, .pinned = true};
  const ReadyPoint fallback = {.kernel = kernel, .rejected = absl::UnavailableError("before")};
  const auto resolved = [&](const ReadyPoint& standing, int64_t rows) {
    const auto table = ReadyTable().With(kProblem.shape, rows, standing, Origin::kPrepared);
    return ResolveOn(gpu, source.get(), *table).value();
  };
  EXPECT_EQ(resolved(chosen, kProblem.rows), chosen);
  for (const ReadyPoint& point :
       {resolved(chosen, kProblem.rows + 1), resolved(pinned, kProblem.rows),
        resolved(fallback, kProblem.rows)}) {
    EXPECT_EQ(point.kernel->candidate(), ModelsChoice());
    EXPECT_THAT(point.rejected.ToString(), HasSubstr("no answer"));
  }
}

TEST(Resolve, WithNothingThatCompilesWhatIsLoadedRuns) {
  FakeGpu gpu;
  const ReadyPoint loaded = {.kernel = *gpu.pool.Get(kProblem, ReferenceCandidate(), "")};
  const auto table = ReadyTable().With(kProblem.shape, 4, loaded, Origin::kPrepared);
  const NvrtcApi broken = {
      .version = [](int*, int*) { return 1; },
      .compile =
          [](std::string_view, std::span<const EmbeddedFile>, const std::vector<std::string>&) {
            return NvrtcResult{.ok = false, .cubin = {}, .log = "broken"};
          }};
  KernelPool pool(gpu.context, *CubinCache::Open(gpu.folder.path()),
                  {.max_kernels = 1000, .nvrtc = &broken});
  const auto point = Resolve(kProblem, Fiction100(), nullptr, pool, *table);
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->kernel, loaded.kernel);
  EXPECT_THAT(point->rejected.ToString(), HasSubstr("broken"));
}

TEST(Resolve, WhenNothingRunsTheErrorTellsTheFirstAndTheLastReason) {
  FakeGpu gpu({.faults = {{FakeFaultKind::kLoadError}}});
  const auto source = SourceOf(
      [](const Problem&, const DeviceSpec&) { return absl::UnavailableError("no answer"); });
  const absl::Status status = ResolveOn(gpu, source.get()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.ToString(), HasSubstr("cannot load "));
  EXPECT_THAT(status.ToString(), HasSubstr("no answer"));
  EXPECT_LE(gpu.nvrtc.compiles(), 20);  // it gives up some time
}

TEST(Resolve, AFullPoolIsAnError) {
  FakeGpu gpu;
  KernelPool full(gpu.context, *CubinCache::Open(gpu.folder.path()),
                  {.max_kernels = 0, .nvrtc = &gpu.nvrtc.api()});
  const auto source = SourceOf(WinnerOf(ReferenceCandidate()));
  EXPECT_EQ(Resolve(kProblem, Fiction100(), source.get(), full, {}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Resolve(kProblem, Fiction100(), nullptr, full, {}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Resolve, WhereNoFamilyRunsTheErrorNamesTheDevice) {
  FakeGpu gpu;
  const absl::Status status = Resolve(kProblem, Relic30(), nullptr, gpu.pool, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.ToString(), HasSubstr("Relic 30"));
}

}  // namespace
}  // namespace moetune
