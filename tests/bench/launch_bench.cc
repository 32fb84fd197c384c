// What the dispatcher adds to a launch: the driver's own is an empty function. Bar: < 1 µs for a
// prepared shape (0.28 here). One that is not in the table weighs every loaded kernel of its kind:
// 2.0 µs for four, outside the bar.
#include <benchmark/benchmark.h>

#include "runtime/dispatcher.h"
#include "tests/testing/fake_gpu.h"

namespace moetune {
namespace {

Problem Qwen(int64_t tokens) {
  Problem problem = ProblemOf("forward/bf16/gather/e128/t1x8/n1536/k2048");
  problem.tokens = tokens;
  problem.rows = 8 * tokens;
  return problem;
}

MoeArgs ArgsOf(const Problem& problem) {
  alignas(16) static char memory;
  const Shape& shape = problem.shape;
  return {.x = &memory,
          .w = &memory,
          .y = &memory,
          .row_counts = &memory,
          .row_index = &memory,
          .scale = nullptr,
          .tokens = problem.tokens,
          .rows = problem.rows,
          .experts = shape.experts,
          .top_k = shape.top_k,
          .n = shape.n,
          .k = shape.k};
}

struct Bench {
  Bench() {
    driver.launch = [](CUfunc_st*, const Plan&, const void*, CUstream_st*) { return 0; };
    dispatcher = *Dispatcher::Open(
        {.cubin_folder = folder.path(), .driver = &driver, .nvrtc = &gpu.nvrtc.api()});
  }

  FakeGpu gpu;
  DriverApi driver = gpu.driver;
  TempFolder folder;
  std::unique_ptr<Dispatcher> dispatcher;
};

// As an engine does it: a model's shapes, prepared for many token counts, launched for any.
void BM_LaunchPrepared(benchmark::State& state) {
  Bench bench;
  for (int64_t tokens = 1; tokens <= 4096; tokens *= 2) {
    if (!bench.dispatcher->Prepare(Qwen(tokens)).ok()) state.SkipWithError("Prepare");
  }
  int64_t tokens = 1;
  for (auto _ : state) {
    tokens = tokens % 4096 + 37;
    const Problem problem = Qwen(tokens);
    if (!bench.dispatcher->Launch(problem.shape, ArgsOf(problem), nullptr).ok()) {
      state.SkipWithError("Launch");
      break;
    }
  }
}

// The first launches of an unforeseen shape, among four loaded kernels; the table is full, so that
// none is fetched meanwhile.
void BM_LaunchUnprepared(benchmark::State& state) {
  Bench bench;
  DispatcherOptions options = {.cubin_folder = bench.folder.path(),
                               .max_kernels = 4,
                               .driver = &bench.driver,
                               .nvrtc = &bench.gpu.nvrtc.api()};
  bench.dispatcher = *Dispatcher::Open(std::move(options));
  int64_t tokens = 1;
  for (const int64_t block_m : {16, 32, 64, 128}) {
    if (!bench.dispatcher->Prepare(Qwen(tokens *= 4), ReferenceCandidate(block_m)).ok()) {
      state.SkipWithError("Prepare");
    }
  }
  Problem problem = Qwen(100);
  problem.shape.n = 4096;
  const MoeArgs args = ArgsOf(problem);
  for (auto _ : state) {
    if (!bench.dispatcher->Launch(problem.shape, args, nullptr).ok()) {
      state.SkipWithError("Launch");
      break;
    }
  }
}

BENCHMARK(BM_LaunchPrepared);
BENCHMARK(BM_LaunchUnprepared);

}  // namespace
}  // namespace moetune

BENCHMARK_MAIN();
