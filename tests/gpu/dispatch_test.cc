// The dispatcher on a real GPU. Runs on a machine with one; skips elsewhere.
//
// Every problem of the database $MOETUNE_DATABASE is launched on fresh random data and compared
// with a product in double; with $MOETUNE_SERVER (HOST:PORT) the configs come from a running
// `moetune serve` too. $MOETUNE_SEED repeats a run, $MOETUNE_CUBINS keeps the compiled kernels.
// Under compute-sanitizer run --gtest_filter=DispatchSmall.*
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/registry.h"
#include "runtime/dispatcher.h"
#include "runtime/remote_source.h"
#include "tests/gpu/cuda_graph.h"
#include "tests/gpu/gpu_test.h"
#include "tests/testing/forward_case.h"
#include "tuner/search_strategy.h"

namespace moetune {
namespace {

class DispatchTest : public GpuTest {
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

  // Of each family that runs the problem the model's favourite, and others down the list.
  std::vector<Candidate> SomeOfEachFamily(const Problem& problem, size_t count) const {
    std::map<const Family*, std::vector<Candidate>> ranked;
    for (Candidate& candidate : RankCandidates(problem, context_->device())) {
      ranked[candidate.family].push_back(std::move(candidate));
    }
    std::vector<Candidate> chosen;
    for (const auto& [family, candidates] : ranked) {
      const size_t number = std::min(count, candidates.size());
      for (size_t i = 0; i < number; ++i) {
        chosen.push_back(candidates[i * candidates.size() / number]);
      }
    }
    return chosen;
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

using DispatchSizes = DispatchTest;

TEST_F(DispatchSizes, FromOneTokenToManyAndOfEveryDtypeInEveryFamily) {
  const auto dispatcher = Open();
  for (const char* key :
       {"forward/bf16/gather/e128/t1x8/n1536/k2048", "forward/bf16/gather/e128/t77x8/n1500/k2048",
        "forward/bf16/scatter+scale/e128/t1000x8/n2048/k768",
        "forward/bf16/combine/e128/t100x8/n2040/k768",
        "forward/bf16/gather+swiglu+preact/e16/t300x4/n1500/k512",
        "forward/fp16/gather/e16/t333x1/n1111/k512", "forward/fp16/scatter/e8/t500x2/n4096/k1000",
        "forward/bf16-fp32/plain/e8/t64x2/n257/k999",
        "forward/bf16/gather/e32/t1024x8/n1536/k2048/r2048",
        "forward/bf16/plain/e8/t512x2/n130/k35/r100/zipf"}) {
    const Problem problem = ParseProblem(key).value();
    for (const Candidate& candidate : SomeOfEachFamily(problem, 1)) {
      SCOPED_TRACE(absl::StrFormat("%s %s", key, candidate.family->name));
      ASSERT_TRUE(dispatcher->Prepare(problem, candidate).ok());
      const absl::Status status = LaunchAndCheck(*dispatcher, problem);
      EXPECT_TRUE(status.ok()) << status;
    }
  }
}

// 7.5e9 weights: what a 32-bit offset cannot reach.
TEST_F(DispatchSizes, OffsetsPastTwoToTheThirtyFirstInEveryFamily) {
  const Problem problem = ParseProblem("forward/bf16/gather/e256/t128x8/n4096/k7168").value();
  const auto dispatcher = Open();
  for (const Candidate& candidate : SomeOfEachFamily(problem, 1)) {
    SCOPED_TRACE(candidate.family->name);
    ASSERT_TRUE(dispatcher->Prepare(problem, candidate).ok());
    const absl::Status status = LaunchAndCheck(*dispatcher, problem);
    if (absl::IsResourceExhausted(status)) GTEST_SKIP() << status.message();
    EXPECT_TRUE(status.ok()) << status;
  }
}

// Row counts are read on the device, so a graph of one launch serves all that fit its bound.
class DispatchGraph : public DispatchTest {
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

TEST_F(DispatchGraph, ACapturedLaunchServesAnyRowCountsWithinItsBound) {
  const auto dispatcher = Open();
  for (const char* key :
       {"forward/bf16/gather/e32/t200x4/n768/k512",
        "forward/bf16/scatter+scale/e32/t200x4/n512/k768",
        "forward/bf16/combine/e32/t200x4/n512/k768", "forward/bf16/plain/e8/t4x2/n264/k136"}) {
    const Problem problem = ParseProblem(key).value();
    for (const Candidate& candidate : SomeOfEachFamily(problem, 2)) {
      SCOPED_TRACE(
          absl::StrFormat("%s %s %s", key, candidate.family->name, candidate.config.Text()));
      ASSERT_TRUE(dispatcher->Prepare(problem, candidate).ok());
      ASSERT_TRUE(workload_->Load(problem, Seed(), {}).ok());
      const auto graph = CapturedGraph::Capture(*driver_, stream_->get(), [&] {
        return dispatcher->Launch(problem.shape, workload_->Args(0), stream_->get());
      });
      ASSERT_TRUE(graph.ok()) << graph.status();
      for (const RoutingDraw& draw : Draws()) {
        const absl::Status status = ReplayWith(*graph, draw);
        EXPECT_TRUE(status.ok()) << draw.RoutedRows() << " rows: " << status;
      }
    }
  }
}

// Problems that the host computes whole, each with configs of every family: few launches, for the
// sanitizers.
class DispatchSmall : public DispatchTest {
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

TEST_F(DispatchSmall, EmptyOneRowAndRaggedExpertsInEveryFusion) {
  const auto dispatcher = Open();
  for (const char* fusions : {"plain", "gather", "scatter", "scatter+scale", "swiglu+preact",
                              "gather+swiglu", "combine"}) {
    for (const char* sizes : {"e5/t37x2/n72/k40", "e3/t9x1/n33/k19", "e4/t40x4/n64/k64/r61"}) {
      const auto parsed = ParseProblem(std::string("forward/bf16/") + fusions + "/" + sizes);
      if (!parsed.ok()) continue;  // an odd n has no half for swiglu
      const Problem& problem = *parsed;
      std::vector<int64_t> counts(problem.shape.experts, 0);
      counts[1] = 1;
      counts.back() = problem.rows - 2;  // expert 0 has none, and one row is not routed
      for (const Candidate& candidate : SomeOfEachFamily(problem, 2)) {
        SCOPED_TRACE(ProblemKey(problem) + " " + candidate.config.Text());
        ASSERT_TRUE(dispatcher->Prepare(problem, candidate).ok());
        const absl::Status status =
            Check(*dispatcher, problem, {.seed = Seed(), .row_counts = counts});
        EXPECT_TRUE(status.ok()) << status;
      }
    }
  }
}

TEST_F(DispatchSmall, WideIndicesAndNarrowWeights) {
  for (const ArgTypes types : {ArgTypes{.index64 = true}, ArgTypes{.scale_fp32 = false},
                               ArgTypes{.index64 = true, .scale_fp32 = false}}) {
    const auto dispatcher = Open({.arg_types = types});
    for (const char* key :
         {"forward/bf16/scatter+scale/e5/t37x2/n72/k40",
          "forward/fp16/scatter+scale/e5/t37x2/n72/k40", "forward/fp16/gather/e5/t37x2/n70/k41"}) {
      SCOPED_TRACE(key);
      const Problem problem = ParseProblem(key).value();
      ASSERT_TRUE(dispatcher->Prepare(problem).ok());
      const absl::Status status = Check(*dispatcher, problem, {.types = types, .seed = Seed()});
      EXPECT_TRUE(status.ok()) << status;
    }
  }
}

TEST_F(DispatchSmall, NoRowsAtAllTouchNothing) {
  const auto dispatcher = Open();
  for (const char* fusions : {"gather", "combine"}) {  // which writes zeros
    const Problem problem =
        ParseProblem(std::string("forward/bf16/") + fusions + "/e4/t8x2/n32/k32").value();
    ASSERT_TRUE(dispatcher->Prepare(problem).ok());
    const absl::Status status =
        Check(*dispatcher, problem, {.seed = Seed(), .row_counts = std::vector<int64_t>(4, 0)});
    EXPECT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace moetune
