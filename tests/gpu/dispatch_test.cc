// The dispatcher on a real GPU. Runs on a machine with one; skips elsewhere.
//
// DispatchDatabase  every winner of the database $MOETUNE_DATABASE; and what a running `moetune
//                   serve` of it, at $MOETUNE_SERVER (HOST:PORT), says
// DispatchSizes     sizes, dtypes and fusions; offsets that 32 bits do not hold
// DispatchGraph     a launch that a CUDA graph has captured, replayed with other row counts
// DispatchStreams   launches on two streams at once
// DispatchSmall     few launches, which the host checks whole: for compute-sanitizer
//
// All but the first are made for each family: --gtest_filter=DispatchGraph.*/sm90_wgmma runs one
// part of one family. All together take about 2 minutes on 16 cores, for their compiles.
//
// Data is new in each run: $MOETUNE_SEED repeats one. $MOETUNE_CUBINS keeps the compiled kernels,
// and has those of the database's winners if it is the folder that the sweep compiled into.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/registry.h"
#include "runtime/dispatcher.h"
#include "runtime/remote_source.h"
#include "tests/gpu/cuda_graph.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/kernel_shop.h"
#include "tests/testing/forward_case.h"
#include "tuner/search_strategy.h"

namespace moetune {
namespace {

class DispatchTest : public KernelShopTest {
 protected:
  std::unique_ptr<Dispatcher> Open(DispatcherOptions options = {}) {
    options.cubin_folder = CubinFolderOfTest();
    auto dispatcher = Dispatcher::Open(std::move(options));
    EXPECT_TRUE(dispatcher.ok()) << dispatcher.status();
    return *std::move(dispatcher);
  }

  // Launches on both draws of a workload: the tuned routing, and a sparse one with empty and
  // one-row experts and fewer rows than there is room for. Checks every element for having been
  // written, and a sample of all experts against products in double.
  absl::Status LaunchAndCheck(Dispatcher& dispatcher, const Problem& problem) {
    Problem drawn = problem;
    if (drawn.routing.kinds != kBalanced && drawn.routing.kinds != kZipf) drawn.routing = {};
    RETURN_IF_ERROR(workload_->Load(drawn, Seed(), {}));
    for (int draw = 0; draw <= workload_->host().timed_draws(); ++draw) {
      RETURN_IF_ERROR(workload_->PoisonOutput());
      RETURN_IF_ERROR(dispatcher.Launch(problem.shape, workload_->Args(draw), stream_->get()));
      RETURN_IF_ERROR(stream_->Synchronize());
      RETURN_IF_ERROR(CheckOutput(workload_->host(), draw));
    }
    return absl::OkStatus();
  }

  absl::Status CheckOutput(const HostWorkload& host, int draw) {
    ASSIGN_OR_RETURN(const std::vector<uint8_t> output, ReadOutput());
    Complaint complaint = CheckWritten(host, draw, output);
    if (!complaint) complaint = CheckSample(host, draw, output, Seed());
    return complaint ? absl::DataLossError(*complaint) : absl::OkStatus();
  }

  // Every winner of the database for this GPU comes from `dispatcher` as it stands there, and is
  // right.
  void CheckEveryWinner(Dispatcher& dispatcher, const std::string& database) {
    const auto store = OpenStore(database, OpenMode::kReadOnly);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto snapshot = Snapshot::Fold(nullptr, (*store)->Scan(0, kWinners).value());
    int checked = 0;
    for (const auto& winner : snapshot->Winners()) {
      if (winner->device.name != context_->device().name) continue;
      std::cout << ProblemKey(winner->problem) << std::endl;
      SCOPED_TRACE(ProblemKey(winner->problem));
      ASSERT_TRUE(dispatcher.Prepare(winner->problem).ok());
      const auto ready = dispatcher.Inspect(winner->problem);
      ASSERT_TRUE(ready.ok()) << ready.status();
      EXPECT_EQ(ready->tier, Tier::kExact);
      EXPECT_EQ(ready->candidate.family->name, winner->family);
      EXPECT_EQ(ready->candidate.config, winner->config);
      EXPECT_TRUE(ready->rejected.ok()) << ready->rejected;
      const absl::Status status = LaunchAndCheck(dispatcher, winner->problem);
      EXPECT_TRUE(status.ok()) << status;
      ++checked;
    }
    EXPECT_GT(checked, 0) << database << " has no winner for " << context_->device().name;
    std::cout << checked << " problems" << std::endl;
  }
};

using DispatchDatabase = DispatchTest;

TEST_F(DispatchDatabase, EveryProblemOfTheFileIsRightOnFreshData) {
  const std::string database = Variable("MOETUNE_DATABASE");
  if (database.empty()) GTEST_SKIP() << "MOETUNE_DATABASE names no database";
  const auto dispatcher = Open({.database = database});
  CheckEveryWinner(*dispatcher, database);
}

TEST_F(DispatchDatabase, EveryProblemOfTheServerIsRightOnFreshData) {
  const std::string database = Variable("MOETUNE_DATABASE");
  const std::string server = Variable("MOETUNE_SERVER");
  if (database.empty() || server.empty()) {
    GTEST_SKIP() << "MOETUNE_DATABASE and MOETUNE_SERVER do not name a database and its server";
  }
  auto source = OpenRemoteSource(server);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto dispatcher = Open({.source = *std::move(source)});
  CheckEveryWinner(*dispatcher, database);
}

// The same for one family, whose name is the parameter.
class DispatchFamily : public DispatchTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    DispatchTest::SetUp();
    if (IsSkipped()) return;
    const Problem small = ParseProblem("forward/bf16/plain/e4/t8x2/n32/k32").value();
    if (EnumerateLegal(*FindFamily(GetParam()).value(), small, context_->device()).empty()) {
      GTEST_SKIP() << GetParam() << " does not run on " << context_->device().name;
    }
  }

  struct Case {
    Problem problem;
    Candidate candidate;
    std::string Text() const { return ProblemKey(problem) + " " + candidate.config.Text(); }
  };

  // Of each problem that the family runs here as many candidates as `count`: the model's favourite,
  // and others down its list. They are compiled from now on. A failure where there are none.
  std::vector<Case> Cases(const std::vector<std::string>& keys, size_t count) {
    std::vector<Case> cases;
    for (const std::string& key : keys) {
      const Problem problem = ParseProblem(key).value();
      std::vector<Candidate> ranked = RankCandidates(problem, context_->device());
      std::erase_if(ranked, [](const Candidate& c) { return c.family->name != GetParam(); });
      const size_t number = std::min(count, ranked.size());
      for (size_t i = 0; i < number; ++i) {
        cases.push_back({problem, ranked[i * ranked.size() / number]});
        shop_->Order(problem, cases.back().candidate);
      }
    }
    EXPECT_FALSE(cases.empty()) << GetParam() << " runs none of the problems";
    return cases;
  }

  // Once the kernel is compiled: the dispatcher finds it in the folder that both have.
  absl::Status Prepare(Dispatcher& dispatcher, const Case& of) {
    RETURN_IF_ERROR(shop_->Get(of.problem, of.candidate).status());
    return dispatcher.Prepare(of.problem, of.candidate);
  }

  absl::Status PrepareAndCheck(Dispatcher& dispatcher, const Case& of) {
    RETURN_IF_ERROR(Prepare(dispatcher, of));
    return LaunchAndCheck(dispatcher, of.problem);
  }
};

std::vector<std::string> FamilyNames() {
  std::vector<std::string> names;
  for (const Family* family : Families()) names.emplace_back(family->name);
  return names;
}

std::string NameOf(const ::testing::TestParamInfo<std::string>& info) { return info.param; }

using DispatchSizes = DispatchFamily;

TEST_P(DispatchSizes, FromOneTokenToManyAndOfEveryDtype) {
  const auto dispatcher = Open();
  for (const Case& each : Cases({"forward/bf16/gather/e128/t1x8/n1536/k2048",
                                 "forward/bf16/gather/e128/t77x8/n1500/k2048",
                                 "forward/bf16/scatter+scale/e128/t1000x8/n2048/k768",
                                 "forward/bf16/combine/e128/t100x8/n2040/k768",
                                 "forward/bf16/gather+swiglu+preact/e16/t300x4/n1500/k512",
                                 "forward/bf16/gather+swiglu+preact/e16/t300x4/n1504/k512",
                                 "forward/fp16/gather/e16/t333x1/n1111/k512",
                                 "forward/fp16/scatter/e8/t500x2/n4096/k1000",
                                 "forward/bf16-fp32/plain/e8/t64x2/n257/k1000",
                                 "forward/bf16-fp32/plain/e8/t64x2/n257/k999",
                                 "forward/fp16-fp32/scatter/e8/t64x2/n256/k512",
                                 "forward/fp32/gather/e8/t64x2/n257/k1000",
                                 "forward/bf16/gather/e32/t1024x8/n1536/k2048/r2048",
                                 "forward/bf16/plain/e8/t512x2/n130/k35/r100/zipf"},
                                1)) {
    SCOPED_TRACE(each.Text());
    EXPECT_EQ(PrepareAndCheck(*dispatcher, each), absl::OkStatus());
  }
}

// 7.5e9 weights: what a 32-bit offset cannot reach.
TEST_P(DispatchSizes, OffsetsPastTwoToTheThirtyFirst) {
  const auto dispatcher = Open();
  for (const Case& each : Cases({"forward/bf16/gather/e256/t128x8/n4096/k7168"}, 1)) {
    SCOPED_TRACE(each.Text());
    const absl::Status status = PrepareAndCheck(*dispatcher, each);
    if (absl::IsResourceExhausted(status)) GTEST_SKIP() << status.message();
    EXPECT_TRUE(status.ok()) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(, DispatchSizes, ::testing::ValuesIn(FamilyNames()), NameOf);

// Row counts are read on the device, so a graph of one launch serves all that fit its bound.
class DispatchGraph : public DispatchFamily {
 protected:
  // Overwrites what the captured launch reads with another draw, replays, and checks.
  absl::Status ReplayWith(const CapturedGraph& graph, const RoutingDraw& draw) {
    const MoeArgs args = workload_->Args(0);
    RETURN_IF_ERROR(Upload(args.row_counts, draw.counts));
    if (args.row_index != nullptr) RETURN_IF_ERROR(Upload(args.row_index, draw.index));
    if (args.scale != nullptr) RETURN_IF_ERROR(Upload(args.scale, draw.weights));
    RETURN_IF_ERROR(workload_->PoisonOutput());
    RETURN_IF_ERROR(graph.Replay(stream_->get()));
    RETURN_IF_ERROR(stream_->Synchronize());
    HostWorkload host = workload_->host();
    host.draws[0] = draw;
    return CheckOutput(host, 0);
  }

  template <typename T>
  absl::Status Upload(const void* target, const std::vector<T>& values) {
    return DriverStatus(*driver_,
                        driver_->copy_to_device(reinterpret_cast<DeviceAddress>(target),
                                                values.data(), values.size() * sizeof(T)),
                        "upload");
  }

  // Draws of a workload, and what no routing would give: all rows to one expert, and no rows.
  std::vector<RoutingDraw> Draws() const {
    const HostWorkload& host = workload_->host();
    RoutingDraw lone = host.draws[0];
    std::fill(lone.counts.begin(), lone.counts.end(), 0);
    lone.counts[lone.counts.size() / 2] = static_cast<int32_t>(host.problem.rows);
    RoutingDraw none = host.draws[0];
    std::fill(none.counts.begin(), none.counts.end(), 0);
    std::fill(none.weights.begin(), none.weights.end(), 0.0f);
    return {host.draws[1], lone, none, host.draws[0]};
  }
};

TEST_P(DispatchGraph, ACapturedLaunchServesAnyRowCountsWithinItsBound) {
  const auto dispatcher = Open();
  for (const Case& each :
       Cases({"forward/bf16/gather/e32/t200x4/n768/k512",
              "forward/fp16/gather+swiglu/e32/t200x4/n768/k512",
              "forward/bf16/scatter+scale/e32/t200x4/n512/k768",
              "forward/bf16/combine/e32/t200x4/n512/k768", "forward/bf16/plain/e8/t4x2/n264/k136"},
             2)) {
    SCOPED_TRACE(each.Text());
    ASSERT_TRUE(Prepare(*dispatcher, each).ok());
    ASSERT_TRUE(workload_->Load(each.problem, Seed(), {}).ok());
    const auto graph = CapturedGraph::Capture(*driver_, stream_->get(), [&] {
      return dispatcher->Launch(each.problem.shape, workload_->Args(0), stream_->get());
    });
    ASSERT_TRUE(graph.ok()) << graph.status();
    for (const RoutingDraw& draw : Draws()) {
      EXPECT_EQ(ReplayWith(*graph, draw), absl::OkStatus()) << draw.RoutedRows() << " rows";
    }
  }
}

TEST_P(DispatchGraph, ACaptureLetsAnotherThreadPrepare) {
  const auto dispatcher = Open();
  const auto cases =
      Cases({"forward/bf16/plain/e8/t4x2/n264/k136", "forward/bf16/scatter/e8/t4x2/n264/k136"}, 1);
  const auto prepare = [&](const Case& c) { return dispatcher->Prepare(c.problem, c.candidate); };
  ASSERT_EQ(prepare(cases[0]), absl::OkStatus());
  ASSERT_EQ(workload_->Load(cases[0].problem, Seed(), {}), absl::OkStatus());
  const auto graph = CapturedGraph::Capture(*driver_, stream_->get(), [&] {
    std::jthread([&] { EXPECT_EQ(prepare(cases[1]), absl::OkStatus()); }).join();
    return dispatcher->Launch(cases[0].problem.shape, workload_->Args(0), stream_->get());
  });
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(ReplayWith(*graph, workload_->host().draws[0]), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(, DispatchGraph, ::testing::ValuesIn(FamilyNames()), NameOf);

// Launches of one kernel on two streams.
class DispatchStreams : public DispatchFamily {
 protected:
  // One whose CTAs draw their tiles, if the family has such.
  Case DrawingCase() {
    const Problem problem = ParseProblem("forward/bf16/gather/e6/t384x2/n512/k128").value();
    std::vector<Candidate> ranked = RankCandidates(problem, context_->device());
    std::erase_if(ranked, [](const Candidate& c) { return c.family->name != GetParam(); });
    const auto draws = std::ranges::find_if(ranked, [&](const Candidate& c) {
      return c.family->plan(problem, c.config, context_->device(), {}).draws_tiles;
    });
    Case drawing = {problem, draws == ranked.end() ? ranked.front() : *draws};
    shop_->Order(problem, drawing.candidate);
    return drawing;
  }
};

TEST_P(DispatchStreams, LaunchesSideBySideTakeNoneOfEachOthersTiles) {
  const Case drawing = DrawingCase();
  SCOPED_TRACE(drawing.Text());
  const auto dispatcher = Open();
  ASSERT_TRUE(Prepare(*dispatcher, drawing).ok());
  const absl::StatusOr<Stream> other = Stream::Create(*driver_);
  ASSERT_TRUE(other.ok()) << other.status();
  std::vector<ForwardCase> cases;
  for (uint64_t i = 0; i < 16; ++i) {
    auto made = ForwardCase::Create(*driver_, drawing.problem, {.seed = Seed() + i});
    ASSERT_TRUE(made.ok()) << made.status();
    cases.push_back(*std::move(made));
  }
  ASSERT_EQ(driver_->stream_synchronize(nullptr), 0);
  for (size_t i = 0; i < cases.size(); ++i) {
    CUstream_st* stream = i % 2 == 0 ? stream_->get() : other->get();
    ASSERT_TRUE(dispatcher->Launch(drawing.problem.shape, cases[i].args(), stream).ok());
  }
  ASSERT_TRUE(stream_->Synchronize().ok());
  ASSERT_TRUE(other->Synchronize().ok());
  for (const ForwardCase& each : cases) EXPECT_EQ(each.CheckOutput(), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(, DispatchStreams, ::testing::ValuesIn(FamilyNames()), NameOf);

// Problems that the host computes whole: few launches, for the sanitizers.
class DispatchSmall : public DispatchFamily {
 protected:
  absl::Status Check(Dispatcher& dispatcher, const Problem& problem,
                     const ForwardCaseOptions& options) {
    ASSIGN_OR_RETURN(const ForwardCase test_case, ForwardCase::Create(*driver_, problem, options));
    // Uploads need not have arrived when they return, and our stream does not wait for them.
    RETURN_IF_ERROR(DriverStatus(*driver_, driver_->stream_synchronize(nullptr), "upload"));
    RETURN_IF_ERROR(dispatcher.Launch(problem.shape, test_case.args(), stream_->get()));
    RETURN_IF_ERROR(stream_->Synchronize());
    return test_case.CheckOutput();
  }
};

TEST_P(DispatchSmall, EmptyOneRowAndRaggedExpertsInEveryFusion) {
  std::vector<std::string> keys;
  for (const char* fusions : {"plain", "gather", "scatter", "scatter+scale", "swiglu+preact",
                              "gather+swiglu", "combine"}) {
    for (const char* sizes : {"e5/t37x2/n72/k40", "e3/t9x1/n33/k19", "e4/t40x4/n64/k64/r61"}) {
      const std::string key = absl::StrFormat("forward/bf16/%s/%s", fusions, sizes);
      if (ParseProblem(key).ok()) keys.push_back(key);  // an odd n has no half for swiglu
    }
  }
  const auto dispatcher = Open();
  for (const Case& each : Cases(keys, 2)) {
    std::vector<int64_t> counts(each.problem.shape.experts, 0);
    counts[1] = 1;
    counts.back() = each.problem.rows - 2;  // expert 0 has none, and one row is not routed
    SCOPED_TRACE(each.Text());
    ASSERT_TRUE(Prepare(*dispatcher, each).ok());
    const absl::Status status =
        Check(*dispatcher, each.problem, {.seed = Seed(), .row_counts = counts});
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(DispatchSmall, WideIndicesAndNarrowWeights) {
  const std::vector<Case> cases =
      Cases({"forward/bf16/scatter+scale/e5/t37x2/n72/k40",
             "forward/fp16/scatter+scale/e5/t37x2/n72/k40", "forward/fp16/gather/e5/t37x2/n70/k40"},
            1);
  for (const ArgTypes types : {ArgTypes{.index64 = true}, ArgTypes{.scale_fp32 = false},
                               ArgTypes{.index64 = true, .scale_fp32 = false}}) {
    const auto dispatcher = Open({.arg_types = types});  // which compiles for them
    for (const Case& each : cases) {
      SCOPED_TRACE(each.Text());
      ASSERT_TRUE(dispatcher->Prepare(each.problem, each.candidate).ok());
      EXPECT_EQ(Check(*dispatcher, each.problem, {.types = types, .seed = Seed()}),
                absl::OkStatus());
    }
  }
}

TEST_P(DispatchSmall, NoRowsAtAllTouchNothing) {
  const auto dispatcher = Open();
  for (const Case& each : Cases({"forward/bf16/gather/e4/t8x2/n32/k32",
                                 "forward/bf16/combine/e4/t8x2/n32/k32"},  // which writes zeros
                                1)) {
    SCOPED_TRACE(each.Text());
    ASSERT_TRUE(Prepare(*dispatcher, each).ok());
    const absl::Status status = Check(*dispatcher, each.problem,
                                      {.seed = Seed(), .row_counts = std::vector<int64_t>(4, 0)});
    EXPECT_TRUE(status.ok()) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(, DispatchSmall, ::testing::ValuesIn(FamilyNames()), NameOf);

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) { return moetune::KernelShopMain(argc, argv); }
