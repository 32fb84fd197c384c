// The program as a whole. Bars: `moetune query` < 50 ms, the server < 100 MB with 10,000 winners.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "db/store.h"
#include "proto/client.h"
#include "tests/testing/program.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

constexpr char kExactKey[] = "forward/bf16/gather/e64/t1001x8/n256/k2048/softmax";
constexpr char kNeighbourKey[] = "forward/bf16/gather/e96/t1000x8/n1200/k2048/softmax";

// As a long sweep leaves it: trials of each winner's problem, of 50 configs in turn.
std::string NewDatabase(const TempFolder& folder, int64_t winners, int64_t measurements) {
  const std::string path = folder.File("moetune.db");
  const auto store = OpenStore(path, OpenMode::kReadWrite).value();
  const std::vector<Record> won = ManyWinners(static_cast<int>(winners));
  store->Append(won).value();
  std::vector<Record> trials;
  for (int64_t i = 0; i < measurements; ++i) {
    const size_t problem = static_cast<size_t>(i / 50) % won.size();
    Measurement trial = MeasurementFor(std::get<Winner>(won[problem].row).problem);
    trial.config = ReferenceConfig(i % 50);
    trials.push_back(NewRecord(trial));
  }
  store->Append(trials).value();
  return path;
}

void RunQueries(benchmark::State& state, const std::vector<std::string>& source,
                const std::string& key) {
  std::vector<std::string> command = {MOETUNE_PROGRAM, "query"};
  command.insert(command.end(), source.begin(), source.end());
  command.insert(command.end(), {"--problem", key, "--device-name", "Fiction 100"});
  for (auto _ : state) {
    Program query(command);
    if (query.Wait() != 0) state.SkipWithError(query.err().c_str());
  }
}

void BM_QueryDatabase(benchmark::State& state, const std::string& key) {
  const TempFolder folder;
  RunQueries(state, {"--db", NewDatabase(folder, state.range(0), state.range(1))}, key);
}
BENCHMARK_CAPTURE(BM_QueryDatabase, exact, kExactKey)
    ->Args({100, 0})
    ->Args({10'000, 200'000})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_QueryDatabase, neighbour, kNeighbourKey)
    ->Args({10'000, 200'000})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_QueryServer(benchmark::State& state) {
  const TempFolder folder;
  Program server({MOETUNE_PROGRAM, "serve", "--db", NewDatabase(folder, state.range(0), 0),
                  "--listen", "127.0.0.1:0"});
  RunQueries(state, {"--server", server.WaitForAddress()}, kExactKey);
}
BENCHMARK(BM_QueryServer)->Arg(10'000)->UseRealTime()->Unit(benchmark::kMillisecond);

// From exec to the line that says it listens.
void BM_ServerStart(benchmark::State& state) {
  const TempFolder folder;
  const std::string path = NewDatabase(folder, state.range(0), state.range(1));
  for (auto _ : state) {
    Program server({MOETUNE_PROGRAM, "serve", "--db", path, "--listen", "127.0.0.1:0"});
    if (server.WaitForAddress().empty()) state.SkipWithError(server.err().c_str());
  }
}
BENCHMARK(BM_ServerStart)->Args({10'000, 200'000})->UseRealTime()->Unit(benchmark::kMillisecond);

// The most that the server ever held, after each winner has gone over the wire ten times.
void BM_ServerMemory(benchmark::State& state) {
  const TempFolder folder;
  for (auto _ : state) {
    Program server({MOETUNE_PROGRAM, "serve", "--db",
                    NewDatabase(folder, state.range(0), state.range(1)), "--listen",
                    "127.0.0.1:0"});
    const auto client = Client::Connect(server.WaitForAddress()).value();
    for (int i = 0; i < 10; ++i) client->ListWinners("").value();
    const std::string status = ReadFile("/proc/" + std::to_string(server.pid()) + "/status");
    const std::string field = "VmHWM:";
    state.counters["peak_MB"] =
        std::strtod(status.c_str() + status.find(field) + field.size(), nullptr) / 1024;
  }
}
BENCHMARK(BM_ServerMemory)->Args({10'000, 200'000})->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moetune

BENCHMARK_MAIN();
