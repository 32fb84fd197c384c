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

constexpr char kKey[] = "forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax";
constexpr char kListening[] = "listening on ";

std::string NewDatabase(const TempFolder& folder, int64_t winners) {
  const std::string path = folder.File("moetune.db");
  const auto store = OpenStore(path, OpenMode::kReadWrite).value();
  store->Append(ManyWinners(static_cast<int>(winners))).value();
  return path;
}

// The address on which a server of that database listens.
std::string WaitForAddress(Program& server) {
  return server.WaitForLine().substr(sizeof(kListening) - 1);
}

void RunQueries(benchmark::State& state, const std::vector<std::string>& source) {
  std::vector<std::string> command = {MOETUNE_PROGRAM, "query"};
  command.insert(command.end(), source.begin(), source.end());
  command.insert(command.end(), {"--problem", kKey, "--device-name", "Fiction 100"});
  for (auto _ : state) {
    Program query(command);
    if (query.Wait() != 0) state.SkipWithError(query.err().c_str());
  }
}

void BM_QueryDatabase(benchmark::State& state) {
  const TempFolder folder;
  RunQueries(state, {"--db", NewDatabase(folder, state.range(0))});
}
BENCHMARK(BM_QueryDatabase)->Arg(100)->Arg(10'000)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_QueryServer(benchmark::State& state) {
  const TempFolder folder;
  Program server({MOETUNE_PROGRAM, "serve", "--db", NewDatabase(folder, state.range(0)), "--listen",
                  "127.0.0.1:0"});
  RunQueries(state, {"--server", WaitForAddress(server)});
}
BENCHMARK(BM_QueryServer)->Arg(10'000)->UseRealTime()->Unit(benchmark::kMillisecond);

// The most that the server ever held, after each winner has gone over the wire ten times.
void BM_ServerMemory(benchmark::State& state) {
  const TempFolder folder;
  for (auto _ : state) {
    Program server({MOETUNE_PROGRAM, "serve", "--db", NewDatabase(folder, state.range(0)),
                    "--listen", "127.0.0.1:0"});
    const auto client = Client::Connect(WaitForAddress(server)).value();
    for (int i = 0; i < 10; ++i) client->ListWinners("").value();
    const std::string status = ReadFile("/proc/" + std::to_string(server.pid()) + "/status");
    const std::string field = "VmHWM:";
    state.counters["peak_MB"] =
        std::strtod(status.c_str() + status.find(field) + field.size(), nullptr) / 1024;
  }
}
BENCHMARK(BM_ServerMemory)->Arg(10'000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moetune

BENCHMARK_MAIN();
