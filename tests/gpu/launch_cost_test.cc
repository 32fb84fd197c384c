// What a launch costs the host: how much of it is the driver's, how much the dispatcher's, and how
// much goes into the tensor maps, which are encoded anew for each launch. On a real GPU, 10 s;
// skips elsewhere.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "runtime/compiler.h"
#include "runtime/dispatcher.h"
#include "tests/gpu/gpu_test.h"
#include "tests/testing/records.h"
#include "tuner/search_strategy.h"
#include "tuner/statistics.h"

namespace moetune {
namespace {

constexpr int kBatches = 51;
constexpr int kCalls = 200;    // of a batch: the driver queues as many without waiting
constexpr double kMostUs = 1;  // that is added to the driver's own time

class LaunchCost : public GpuTest {
 protected:
  // µs of the host for each call; the median of batches.
  double MicrosecondsOf(const std::function<int()>& call, bool succeeds = true) {
    std::vector<double> batches;
    for (int batch = 0; batch < kBatches; ++batch) {
      int wrong = 0;
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < kCalls; ++i) wrong += (call() == 0) != succeeds;
      const std::chrono::duration<double, std::micro> taken =
          std::chrono::steady_clock::now() - start;
      EXPECT_EQ(wrong, 0);
      EXPECT_TRUE(stream_->Synchronize().ok());
      batches.push_back(taken.count() / kCalls);
    }
    return Median(batches);
  }

  struct Entry {
    CUfunc_st* function = nullptr;
    Plan plan;
  };

  // A candidate's kernel, loaded beside the dispatcher's; it stays until the process ends.
  Entry LoadEntry(const Problem& problem, const Candidate& candidate) {
    const std::string arch = ArchName(context_->device().compute_capability);
    const Cubin cubin =
        Compile(*OpenNvrtc().value(), MakeSource(problem.shape, candidate), arch).value();
    KernelFacts facts = cubin.facts;
    facts.resident_ctas = 1;
    Entry entry = {
        .plan = candidate.family->plan(problem, candidate.config, context_->device(), facts)};
    CUmod_st* module = nullptr;
    EXPECT_EQ(driver_->module_load(&module, cubin.image.data()), 0);
    EXPECT_EQ(driver_->module_function(&entry.function, module, "moe_kernel"), 0);
    EXPECT_EQ(driver_->function_allow_shared(entry.function, entry.plan.dynamic_shared_bytes), 0);
    return entry;
  }

  // What encoding the maps of a plan takes: a launch that the driver refuses, with and without.
  double MapsUs(Entry entry, const MoeArgs& args) {
    entry.plan.grid[0] = 0;
    const auto refused = [&] {
      return driver_->launch(entry.function, entry.plan, &args, stream_->get());
    };
    const double with_us = MicrosecondsOf(refused, /*succeeds=*/false);
    entry.plan.w.rank = entry.plan.x.rank = 0;
    return with_us - MicrosecondsOf(refused, /*succeeds=*/false);
  }
};

TEST_F(LaunchCost, TheDispatcherAddsLessThanAMicrosecond) {
  const auto dispatcher = Dispatcher::Open({.cubin_folder = CubinFolderOfTest()}).value();
  for (const char* key :
       {"forward/bf16/gather/e8/t8x2/n256/k256", "forward/bf16/plain/e8/t8x2/n256/k256"}) {
    const Problem problem = ProblemOf(key);
    ASSERT_TRUE(workload_->Load(problem, Seed(), {}).ok());
    const MoeArgs args = workload_->Args(0);
    for (const Family* family : Families()) {
      std::vector<Candidate> ranked = RankCandidates(problem, context_->device());
      std::erase_if(ranked, [&](const Candidate& c) { return c.family != family; });
      if (ranked.empty()) continue;  // not on this GPU
      SCOPED_TRACE(absl::StrFormat("%s %s", family->name, key));
      const Candidate& candidate = ranked.front();
      ASSERT_TRUE(dispatcher->Prepare(problem, candidate).ok());
      const Entry entry = LoadEntry(problem, candidate);
      const double driver_us = MicrosecondsOf(
          [&] { return driver_->launch(entry.function, entry.plan, &args, stream_->get()); });
      const double all_us = MicrosecondsOf(
          [&] { return dispatcher->Launch(problem.shape, args, stream_->get()).ok() ? 0 : 1; });
      const double maps_us = MapsUs(entry, args);
      std::cout << absl::StrFormat(
          "%s, %s: %.2f µs a launch: the dispatcher's part %.2f, that of %d tensor maps %.2f\n",
          family->name, FusionsText(problem.shape.fusions), all_us, all_us - driver_us,
          (entry.plan.w.rank > 0) + (entry.plan.x.rank > 0), maps_us);
      EXPECT_LT(all_us - driver_us, kMostUs);
    }
  }
}

}  // namespace
}  // namespace moetune
