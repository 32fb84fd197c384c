// What a sweep computes between its trials, while a card stands idle: a suggestion must stay below
// a millisecond.
#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/cost_model.h"
#include "tests/testing/fake_evaluator.h"
#include "tests/testing/records.h"
#include "tests/testing/silent_observer.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep.h"

namespace moetune {
namespace {

Problem GateUp(int64_t tokens) {
  Problem problem = ProblemOf("forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax");
  problem.tokens = tokens;
  problem.rows = tokens * problem.shape.top_k;
  return problem;
}

void Ranking(benchmark::State& state) {
  const DeviceSpec device = *FindKnownDevice("h100");
  for (auto _ : state) benchmark::DoNotOptimize(RankCandidates(GateUp(1024), device));
}
BENCHMARK(Ranking)->Unit(benchmark::kMillisecond);

// A time that the model does not foresee, within 30 % of its estimate.
double TimeUs(const Problem& problem, const Candidate& candidate, const DeviceSpec& device) {
  const size_t hash = std::hash<std::string>()(candidate.config.Text() + ProblemKey(problem));
  return EstimateUs(problem, candidate, device, nullptr) * (1 + 0.0003 * double(hash % 1000));
}

// Per trial, over the first 150 of a problem.
void Suggestion(benchmark::State& state, const std::string& strategy) {
  constexpr int kTrials = 150;
  const DeviceSpec device = *FindKnownDevice("h100");
  const std::vector<Candidate> candidates = RankCandidates(GateUp(1024), device);
  for (auto _ : state) {
    const auto search = (*FindStrategy(strategy))->make(candidates, {});
    for (int i = 0; i < kTrials; ++i) {
      const std::vector<size_t> suggested = search->Suggest(1);
      if (suggested.empty()) break;
      search->Observe(suggested[0], TimeUs(GateUp(1024), candidates[suggested[0]], device));
    }
  }
  state.counters["per_trial"] = benchmark::Counter(
      kTrials, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(Suggestion, local, "local")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Suggestion, genetic, "genetic")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Suggestion, auto, "auto") -> Unit(benchmark::kMillisecond);

// Keeps nothing of what it is told.
class InstantEvaluator : public FakeEvaluator {
 public:
  void Prepare(const Problem&, std::span<const Candidate>) override {}
  void Foresee(const Problem&, std::span<const Candidate>) override {}
};

// Per problem, of 40 trials: what the thread computes whose card waits.
void Sweep(benchmark::State& state) {
  InstantEvaluator evaluator;
  evaluator.spec = *FindKnownDevice("h100");
  evaluator.time_us = [&](const Problem& problem, const Candidate& candidate) {
    return TimeUs(problem, candidate, evaluator.spec);
  };
  std::vector<Problem> problems;
  for (int64_t tokens = 1; tokens <= 16384; tokens *= 4) problems.push_back(GateUp(tokens));
  SilentObserver observer;
  for (auto _ : state) {
    evaluator.calls.clear();
    const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
    benchmark::DoNotOptimize(
        RunSweep(problems, {.strategy = "auto", .budget = 40}, *store, evaluator, observer));
  }
  state.counters["per_problem"] = benchmark::Counter(
      static_cast<double>(problems.size()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(Sweep)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moetune

BENCHMARK_MAIN();
