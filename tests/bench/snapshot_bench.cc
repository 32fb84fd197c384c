// Look-ups and folds with 10,000 winners. An exact look-up must stay below 200 ns.
#include <benchmark/benchmark.h>

#include <numeric>
#include <random>
#include <vector>

#include "db/snapshot.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

constexpr int kWinnerCount = 10'000;

ScanResult Log(int count = kWinnerCount) {
  ScanResult scan{.database_id = NewUuid(), .last_sequence = count, .records = ManyWinners(count)};
  for (int i = 0; i < count; ++i) scan.records[static_cast<size_t>(i)].sequence = i + 1;
  return scan;
}

// The problems of a log in random order, `step` tokens away from those that were tuned.
std::vector<Problem> Asked(const ScanResult& log, int64_t step) {
  std::vector<Problem> problems;
  for (const Record& record : log.records) {
    Problem problem = std::get<Winner>(record.row).problem;
    problem.tokens += step;
    problem.rows = problem.tokens * problem.shape.top_k;
    problems.push_back(problem);
  }
  std::shuffle(problems.begin(), problems.end(), std::mt19937(1));
  return problems;
}

void Lookup(benchmark::State& state, int64_t step, Tier tier) {
  const ScanResult log = Log();
  const std::vector<Problem> asked = Asked(log, step);
  const auto snapshot = Snapshot::Fold(nullptr, log);
  const DeviceSpec device = Fiction100();
  size_t i = 0;
  for (auto _ : state) {
    absl::StatusOr<Choice> choice = snapshot->Lookup(asked[i], device);
    if (choice->tier != tier) state.SkipWithError("answered from another tier");
    benchmark::DoNotOptimize(choice);
    if (++i == asked.size()) i = 0;
  }
}

void LookupExact(benchmark::State& state) { Lookup(state, 0, Tier::kExact); }
BENCHMARK(LookupExact);

void LookupBucket(benchmark::State& state) { Lookup(state, 30, Tier::kBucket); }
BENCHMARK(LookupBucket);

void LookupNeighbour(benchmark::State& state) {
  const auto snapshot = Snapshot::Fold(nullptr, Log());
  const Problem asked = ProblemOf("forward/bf16/gather/e96/t500x8/n3000/k3000/softmax");
  const DeviceSpec device = Fiction100();
  for (auto _ : state) {
    absl::StatusOr<Choice> choice = snapshot->Lookup(asked, device);
    if (choice->tier != Tier::kNeighbour) state.SkipWithError("answered from another tier");
    benchmark::DoNotOptimize(choice);
  }
}
BENCHMARK(LookupNeighbour)->Unit(benchmark::kMicrosecond);

void LookupDefault(benchmark::State& state) {
  const Snapshot snapshot;
  const DeviceSpec device = Fiction100();
  for (auto _ : state) {
    benchmark::DoNotOptimize(snapshot.Lookup(SmallProblem(16), device));
  }
}
BENCHMARK(LookupDefault)->Unit(benchmark::kMicrosecond);

void FoldAll(benchmark::State& state) {
  const ScanResult log = Log();
  for (auto _ : state) benchmark::DoNotOptimize(Snapshot::Fold(nullptr, log));
}
BENCHMARK(FoldAll)->Unit(benchmark::kMillisecond);

void FoldOneMore(benchmark::State& state) {
  const ScanResult log = Log();
  const auto base = Snapshot::Fold(nullptr, log);
  ScanResult one{.database_id = log.database_id,
                 .last_sequence = kWinnerCount + 1,
                 .records = {log.records[kWinnerCount / 2]}};
  one.records[0].sequence = one.last_sequence;
  for (auto _ : state) benchmark::DoNotOptimize(Snapshot::Fold(base, one));
}
BENCHMARK(FoldOneMore)->Unit(benchmark::kMicrosecond);

// From a file on disk to a snapshot: what a query pays before it can look up.
void OpenScanFold(benchmark::State& state) {
  const TempFolder folder;
  const std::string path = folder.File("a.db");
  benchmark::DoNotOptimize(
      OpenStore(path, OpenMode::kReadWrite).value()->Append(ManyWinners(kWinnerCount)));
  for (auto _ : state) {
    const auto store = OpenStore(path, OpenMode::kReadOnly).value();
    benchmark::DoNotOptimize(Snapshot::Fold(nullptr, store->Scan(0, kWinners).value()));
  }
}
BENCHMARK(OpenScanFold)->Unit(benchmark::kMillisecond);

// What the server pays every 200 ms while nothing happens.
void ScanOfNothingNew(benchmark::State& state) {
  const TempFolder folder;
  const auto store = OpenStore(folder.File("a.db"), OpenMode::kReadWrite).value();
  benchmark::DoNotOptimize(store->Append(ManyWinners(kWinnerCount)));
  for (auto _ : state) benchmark::DoNotOptimize(store->Scan(kWinnerCount, kWinners));
}
BENCHMARK(ScanOfNothingNew);

void AppendOne(benchmark::State& state) {
  const TempFolder folder;
  const auto store = OpenStore(folder.File("a.db"), OpenMode::kReadWrite).value();
  for (auto _ : state) benchmark::DoNotOptimize(store->Append(ManyWinners(1)));
}
BENCHMARK(AppendOne)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace moetune

BENCHMARK_MAIN();
