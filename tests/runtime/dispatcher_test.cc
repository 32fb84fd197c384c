#include "runtime/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "db/store.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "runtime/device.h"
#include "tests/testing/fake_cuda.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/forward_case.h"
#include "tests/testing/records.h"
#include "tests/testing/scripted_source.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using testing::HasSubstr;

const Candidate kSmallTiles = {FindFamily("reference").value(), ReferenceConfig(16)};
const Candidate kLargeTiles = {FindFamily("reference").value(), ReferenceConfig(128)};

// forward/bf16/plain/e4/tTOKENSx2/n24/k16: cheap to run on the host.
Problem TinyProblem(int64_t tokens) {
  Problem problem = ProblemOf("forward/bf16/plain/e4/t1x2/n24/k16/softmax");
  problem.tokens = tokens;
  problem.rows = 2 * tokens;
  return problem;
}

// A source whose winner has tiles of `block_m` rows, whatever is asked.
std::unique_ptr<ConfigSource> SourceOfTiles(int64_t block_m) {
  Winner winner = WinnerFor(TinyProblem(1));
  winner.config = ReferenceConfig(block_m);
  return SourceOf(winner);
}

class DispatcherTest : public testing::Test {
 protected:
  explicit DispatcherTest(const FakeScript& script = {}) : nvrtc_(script), cuda_(script) {}
  ~DispatcherTest() override { dispatcher_.reset(); }

  Dispatcher& Open(DispatcherOptions options = {}) {
    options.cubin_folder = folder_.path();
    options.driver = &driver_;
    options.nvrtc = &nvrtc_.api();
    auto dispatcher = Dispatcher::Open(std::move(options));
    EXPECT_TRUE(dispatcher.ok()) << dispatcher.status();
    dispatcher_ = *std::move(dispatcher);
    return *dispatcher_;
  }

  Dispatcher& Open(std::unique_ptr<ConfigSource> source) {
    DispatcherOptions options;
    options.source = std::move(source);
    return Open(std::move(options));
  }

  // Launches random data and checks what came out.
  absl::Status Run(Dispatcher& dispatcher, const Problem& problem,
                   const ForwardCaseOptions& options = {}) {
    RETURN_IF_ERROR(context_.MakeCurrent());
    ASSIGN_OR_RETURN(const ForwardCase run, ForwardCase::Create(driver_, problem, options));
    RETURN_IF_ERROR(dispatcher.Launch(problem.shape, run.args(), nullptr));
    return run.CheckOutput();
  }

  Candidate LastLaunched() const { return cuda_.launches().back().candidate; }

  TempFolder folder_;
  FakeNvrtc nvrtc_;
  FakeCuda cuda_;
  const DriverApi& driver_ = cuda_.api();
  Context context_ = *Context::Acquire(driver_, 0);
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(DispatcherTest, LaunchesWhatTheSourceChose) {
  Dispatcher& dispatcher = Open(SourceOfTiles(128));
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  EXPECT_EQ(Run(dispatcher, TinyProblem(8)), absl::OkStatus());
  EXPECT_EQ(LastLaunched(), kLargeTiles);
}

TEST_F(DispatcherTest, ServesAWinnerOfADatabaseFile) {
  const std::string path = folder_.File("winners.db");
  Winner winner = WinnerFor(TinyProblem(8));
  winner.config = ReferenceConfig(128);
  const Record record = NewRecord(winner);
  ASSERT_TRUE((*OpenStore(path, OpenMode::kReadWrite))->Append({&record, 1}).ok());

  Dispatcher& dispatcher = Open({.database = path});
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  const auto ready = dispatcher.Inspect(TinyProblem(8));
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(ready->tier, Tier::kExact);
  EXPECT_EQ(ready->candidate, kLargeTiles);
  EXPECT_EQ(Run(dispatcher, TinyProblem(8)), absl::OkStatus());
}

TEST_F(DispatcherTest, AWinnerStandsWhenItsSourceFailsLater) {
  const auto answering = SourceOfTiles(128);
  bool away = false;
  Dispatcher& dispatcher = Open(
      SourceOf([&](const Problem& problem, const DeviceSpec& device) -> absl::StatusOr<Choice> {
        if (away) return absl::UnavailableError("the server restarts");
        return answering->Lookup(problem, device);
      }));
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  away = true;
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  const Ready ready = dispatcher.Inspect(TinyProblem(8)).value();
  EXPECT_EQ(ready.tier, Tier::kExact);
  EXPECT_EQ(ready.candidate, kLargeTiles);
  EXPECT_EQ(ready.rejected, absl::OkStatus());
}

TEST_F(DispatcherTest, WithoutASourceTheCostModelsChoiceRuns) {
  Dispatcher& dispatcher = Open();
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  EXPECT_EQ(dispatcher.Inspect(TinyProblem(8))->tier, Tier::kDefault);
  EXPECT_EQ(Run(dispatcher, TinyProblem(8)), absl::OkStatus());
}

TEST_F(DispatcherTest, EveryFusionAndArgumentTypeGivesTheRightResult) {
  const ArgTypes types = {.index64 = true, .scale_fp32 = false};
  Dispatcher& dispatcher = Open({.arg_types = types});
  for (const std::string kind : {"bf16/gather", "fp16/scatter", "bf16-fp32/scatter+scale"}) {
    const Problem problem = ProblemOf("forward/" + kind + "/e4/t6x2/n10/k12");
    ASSERT_EQ(dispatcher.Prepare(problem), absl::OkStatus());
    EXPECT_EQ(Run(dispatcher, problem, {.types = types}), absl::OkStatus()) << kind;
  }
}

TEST_F(DispatcherTest, ALaunchTakesTheNearestPreparedRowCount) {
  Dispatcher& dispatcher = Open();
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(4), kSmallTiles), absl::OkStatus());
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(64), kLargeTiles), absl::OkStatus());
  const std::pair<int64_t, Candidate> expected[] = {
      {1, kSmallTiles}, {15, kSmallTiles}, {17, kLargeTiles}, {200, kLargeTiles}};
  for (const auto& [tokens, candidate] : expected) {
    EXPECT_EQ(Run(dispatcher, TinyProblem(tokens)), absl::OkStatus());
    EXPECT_EQ(LastLaunched(), candidate) << tokens;
  }
  EXPECT_EQ(nvrtc_.compiles(), 2);  // nothing was fetched besides
}

TEST_F(DispatcherTest, APinnedConfigStandsUntilItIsPreparedAnew) {
  Dispatcher& dispatcher = Open(SourceOfTiles(128));
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8), kSmallTiles), absl::OkStatus());
  EXPECT_TRUE(dispatcher.Inspect(TinyProblem(8))->pinned);
  EXPECT_EQ(dispatcher.Inspect(TinyProblem(8))->candidate, kSmallTiles);
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  EXPECT_FALSE(dispatcher.Inspect(TinyProblem(8))->pinned);
  EXPECT_EQ(dispatcher.Inspect(TinyProblem(8))->candidate, kLargeTiles);
}

TEST_F(DispatcherTest, AnIllegalPinIsRefusedWithItsReason) {
  Dispatcher& dispatcher = Open();
  Candidate illegal = kSmallTiles;
  illegal.config.Set("threads", 7);
  const absl::Status status = dispatcher.Prepare(TinyProblem(8), illegal);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.ToString(), HasSubstr("threads"));
  EXPECT_FALSE(dispatcher.Prepare(TinyProblem(8), Candidate{}).ok());
}

TEST_F(DispatcherTest, WhatWasNotPreparedIsNotFoundByInspect) {
  EXPECT_EQ(Open().Inspect(TinyProblem(8)).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DispatcherTest, LaunchWithoutAnyPrepareNamesPrepare) {
  Dispatcher& dispatcher = Open();
  const absl::Status status = Run(dispatcher, TinyProblem(8));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("Prepare"));
  EXPECT_THAT(status.ToString(), HasSubstr("forward/bf16/plain/e4/t8x2/n24/k16"));
  dispatcher.WaitForBackground();
  EXPECT_EQ(nvrtc_.compiles(), 0);
}

TEST_F(DispatcherTest, ZeroRowsAreNoWork) {
  Dispatcher& dispatcher = Open();
  EXPECT_EQ(dispatcher.Launch(TinyProblem(8).shape, MoeArgs{}, nullptr), absl::OkStatus());
  EXPECT_TRUE(cuda_.launches().empty());
}

TEST_F(DispatcherTest, CombineOfNoRowsWritesZerosAndFetchesNothing) {
  const Problem problem = ProblemOf("forward/bf16/combine/e4/t16x2/n8/k16/r11/softmax");
  Dispatcher& dispatcher = Open();
  ASSERT_EQ(dispatcher.Prepare(problem), absl::OkStatus());
  Problem narrower = problem;
  narrower.shape.n = 4;
  {
    const ForwardCase run = *ForwardCase::Create(driver_, problem, {.row_counts = {0, 0, 0, 0}});
    MoeArgs args = run.args();
    args.rows = 0;
    EXPECT_EQ(dispatcher.Launch(problem.shape, args, nullptr), absl::OkStatus());
    EXPECT_EQ(run.CheckOutput(), absl::OkStatus());
    args.n = narrower.shape.n;
    EXPECT_EQ(dispatcher.Launch(narrower.shape, args, nullptr), absl::OkStatus());
  }
  dispatcher.WaitForBackground();
  EXPECT_EQ(dispatcher.Inspect(narrower).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DispatcherTest, WrongArgumentsAreRefusedBeforeAnyLaunch) {
  Dispatcher& dispatcher = Open();
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  {
    const ForwardCase run = *ForwardCase::Create(driver_, TinyProblem(8));
    MoeArgs args = run.args();
    args.w = nullptr;
    EXPECT_EQ(dispatcher.Launch(TinyProblem(8).shape, args, nullptr).code(),
              absl::StatusCode::kInvalidArgument);
    args = run.args();
    args.n += 1;
    EXPECT_EQ(dispatcher.Launch(TinyProblem(8).shape, args, nullptr).code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(cuda_.launches().empty());
}

TEST_F(DispatcherTest, ProblemsThatAreNoneAreNotPrepared) {
  Problem problem = TinyProblem(8);
  problem.shape.n = 0;
  EXPECT_EQ(Open().Prepare(problem).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DispatcherTest, AnUnpreparedShapeRunsAtOnceAndIsFetchedInTheBackground) {
  Dispatcher& dispatcher = Open(SourceOfTiles(128));
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8), kSmallTiles), absl::OkStatus());
  const Problem unforeseen = ProblemOf("forward/bf16/plain/e3/t5x1/n40/k8");
  EXPECT_EQ(Run(dispatcher, unforeseen), absl::OkStatus());
  EXPECT_EQ(LastLaunched(), kSmallTiles);
  dispatcher.WaitForBackground();
  EXPECT_EQ(dispatcher.Inspect(unforeseen)->candidate, kLargeTiles);
  EXPECT_EQ(Run(dispatcher, unforeseen), absl::OkStatus());
  EXPECT_EQ(LastLaunched(), kLargeTiles);
}

TEST_F(DispatcherTest, AnUnpreparedShapeIsCompletedAsItsRowCountsCome) {
  // The winner of few rows has small tiles.
  Dispatcher& dispatcher = Open(SourceOf([](const Problem& problem, const DeviceSpec&) {
    Winner winner = WinnerFor(problem);
    winner.config = ReferenceConfig(problem.rows < 32 ? 16 : 128);
    return Choice{.tier = Tier::kExact, .winner = std::make_shared<const Winner>(winner)};
  }));
  const Problem kind_only = ProblemOf("forward/bf16/plain/e2/t1x1/n8/k8");
  ASSERT_EQ(dispatcher.Prepare(kind_only), absl::OkStatus());
  for (const int64_t tokens : {2, 100, 2, 100}) {
    EXPECT_EQ(Run(dispatcher, TinyProblem(tokens)), absl::OkStatus());
    dispatcher.WaitForBackground();
  }
  EXPECT_EQ(dispatcher.Inspect(TinyProblem(2))->candidate, kSmallTiles);
  EXPECT_EQ(dispatcher.Inspect(TinyProblem(100))->candidate, kLargeTiles);
}

TEST_F(DispatcherTest, MorePointsThanMaxKernelsAreRefused) {
  Dispatcher& dispatcher = Open({.max_kernels = 2});
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(4), kSmallTiles), absl::OkStatus());
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8), kSmallTiles), absl::OkStatus());
  const absl::Status status = dispatcher.Prepare(TinyProblem(16), kSmallTiles);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.ToString(), HasSubstr("max_kernels"));
  // What is there can still be replaced, and unforeseen shapes still run.
  EXPECT_EQ(dispatcher.Prepare(TinyProblem(8), kLargeTiles), absl::OkStatus());
  EXPECT_EQ(Run(dispatcher, ProblemOf("forward/bf16/plain/e3/t5x1/n40/k8")), absl::OkStatus());
  dispatcher.WaitForBackground();
}

TEST_F(DispatcherTest, CubinsAreCompiledOnceForAllDispatchersOfAFolder) {
  ASSERT_EQ(Open(SourceOfTiles(128)).Prepare(TinyProblem(8)), absl::OkStatus());
  ASSERT_EQ(Open(SourceOfTiles(128)).Prepare(TinyProblem(8)), absl::OkStatus());
  EXPECT_EQ(nvrtc_.compiles(), 1);
}

TEST_F(DispatcherTest, TheCallersContextStaysCurrent) {
  const Context other = *Context::Acquire(driver_, 1);
  const auto current = [&] {
    CUctx_st* context = nullptr;
    driver_.context_get_current(&context);
    return context;
  };
  Dispatcher& dispatcher = Open();
  EXPECT_EQ(current(), other.get());
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  EXPECT_EQ(current(), other.get());
  {
    ASSERT_TRUE(context_.MakeCurrent().ok());
    const ForwardCase run = *ForwardCase::Create(driver_, TinyProblem(8));
    ASSERT_TRUE(other.MakeCurrent().ok());
    ASSERT_EQ(dispatcher.Launch(TinyProblem(8).shape, run.args(), nullptr), absl::OkStatus());
    EXPECT_EQ(current(), other.get());
    ASSERT_TRUE(context_.MakeCurrent().ok());
    EXPECT_EQ(run.CheckOutput(), absl::OkStatus());
  }
}

TEST_F(DispatcherTest, UsesTheDeviceItWasGiven) {
  Dispatcher& dispatcher = Open({.device = 1});
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  const Context other = *Context::Acquire(driver_, 1);
  {
    const ForwardCase run = *ForwardCase::Create(driver_, TinyProblem(8));
    ASSERT_EQ(dispatcher.Launch(TinyProblem(8).shape, run.args(), nullptr), absl::OkStatus());
    EXPECT_EQ(run.CheckOutput(), absl::OkStatus());
  }
  EXPECT_EQ(cuda_.launches().back().device, 1);
  ASSERT_TRUE(context_.MakeCurrent().ok());
}

TEST_F(DispatcherTest, OptionsThatCannotBeAreErrors) {
  const auto open = [&](DispatcherOptions options) {
    options.driver = &driver_;
    return Dispatcher::Open(std::move(options)).status().ToString();
  };
  EXPECT_THAT(open({}), HasSubstr("cubin_folder"));
  EXPECT_THAT(open({.cubin_folder = folder_.path(), .max_kernels = 0}), HasSubstr("max_kernels"));
  EXPECT_THAT(open({.database = folder_.File("absent.db"), .cubin_folder = folder_.path()}),
              HasSubstr("absent.db"));
  EXPECT_THAT(open({.device = 7, .cubin_folder = folder_.path()}), HasSubstr("device 7"));
}

class SlowCompiler : public DispatcherTest {
 protected:
  SlowCompiler()
      : DispatcherTest({.faults = {{FakeFaultKind::kSlowCompile, {"", {{"block_m", 128}}}, 0.1}}}) {
  }
};

TEST_F(SlowCompiler, WhatIsPinnedWhileItIsFetchedStaysPinned) {
  Dispatcher& dispatcher = Open(SourceOfTiles(128));
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8), kSmallTiles), absl::OkStatus());
  const Problem unforeseen = ProblemOf("forward/bf16/plain/e3/t5x1/n40/k8");
  EXPECT_EQ(Run(dispatcher, unforeseen), absl::OkStatus());
  ASSERT_EQ(dispatcher.Prepare(unforeseen, kSmallTiles), absl::OkStatus());
  dispatcher.WaitForBackground();
  EXPECT_TRUE(dispatcher.Inspect(unforeseen)->pinned);
}

class PartlyBroken : public DispatcherTest {
 protected:
  PartlyBroken()
      : DispatcherTest({.faults = {{FakeFaultKind::kLoadError, {"", {{"block_m", 128}}}}}}) {}
};

TEST_F(PartlyBroken, AWinnerThatDoesNotLoadGivesWayAndTheReasonIsKept) {
  Dispatcher& dispatcher = Open(SourceOfTiles(128));
  ASSERT_EQ(dispatcher.Prepare(TinyProblem(8)), absl::OkStatus());
  const auto ready = dispatcher.Inspect(TinyProblem(8));
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(ready->tier, Tier::kDefault);
  EXPECT_THAT(ready->rejected.ToString(), HasSubstr("cannot load reference"));
  EXPECT_EQ(Run(dispatcher, TinyProblem(8)), absl::OkStatus());
}

TEST_F(PartlyBroken, APinThatDoesNotLoadIsAnErrorThatNamesTheProblem) {
  const absl::Status status = Open().Prepare(TinyProblem(8), kLargeTiles);
  EXPECT_THAT(status.ToString(), HasSubstr("cannot make forward/bf16/plain/e4/t8x2/n24/k16"));
}

TEST_F(PartlyBroken, AnUnforeseenShapeThatCannotBeFetchedKeepsWhatRan) {
  // Everything that is compiled from now on fails.
  static bool works;
  works = true;
  static const NvrtcApi* real;
  real = &nvrtc_.api();
  const NvrtcApi nvrtc = {.version = real->version,
                          .compile = [](std::string_view path, std::span<const EmbeddedFile> files,
                                        const std::vector<std::string>& options) {
                            return works ? real->compile(path, files, options)
                                         : NvrtcResult{.ok = false, .cubin = {}, .log = "broken"};
                          }};
  DispatcherOptions options = {.source = SourceOfTiles(64),
                               .cubin_folder = folder_.path(),
                               .driver = &driver_,
                               .nvrtc = &nvrtc};
  dispatcher_ = *Dispatcher::Open(std::move(options));
  ASSERT_EQ(dispatcher_->Prepare(TinyProblem(8), kSmallTiles), absl::OkStatus());
  works = false;
  const Problem unforeseen = ProblemOf("forward/bf16/plain/e3/t5x1/n40/k8");
  EXPECT_EQ(Run(*dispatcher_, unforeseen), absl::OkStatus());
  dispatcher_->WaitForBackground();
  const auto ready = dispatcher_->Inspect(unforeseen);
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(ready->candidate, kSmallTiles);
  EXPECT_THAT(ready->rejected.ToString(), HasSubstr("broken"));
}

}  // namespace
}  // namespace moetune
