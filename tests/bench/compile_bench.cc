// A compile of family reference by the real NVRTC, on one core. Bar: < 1 s.
#include <benchmark/benchmark.h>

#include "kernels/registry.h"
#include "runtime/compiler.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

void BM_CompileReference(benchmark::State& state, const std::string& arch) {
  const absl::StatusOr<const NvrtcApi*> nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) {
    state.SkipWithError("no NVRTC on this machine");
    return;
  }
  const Problem problem = ProblemOf("forward/bf16/gather/e128/t1024x8/n1536/k2048");
  const Source source =
      MakeSource(problem.shape, {FindFamily("reference").value(), ReferenceConfig(state.range(0))});
  for (auto _ : state) {
    const absl::StatusOr<Cubin> cubin = Compile(**nvrtc, source, arch);
    if (!cubin.ok()) state.SkipWithError(cubin.status().ToString().c_str());
  }
}

BENCHMARK_CAPTURE(BM_CompileReference, sm_90a, "sm_90a")
    ->Arg(16)
    ->Arg(128)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_CompileReference, sm_80, "sm_80")->Arg(128)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moetune

BENCHMARK_MAIN();
