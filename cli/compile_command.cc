// compile: the configs of the families for an architecture, with what the compiler says of each.
// Needs NVRTC and no GPU.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <random>
#include <thread>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "tuner/compile_pool.h"

namespace moetune {
namespace {

struct Compiled {
  Candidate candidate;
  CompileResult result;
};

// The legal candidates of the named family (empty: of all), or a seeded sample of them.
absl::StatusOr<std::vector<Candidate>> Candidates(const std::string& family, const Problem& problem,
                                                  const DeviceSpec& device, int64_t sample,
                                                  int64_t seed) {
  if (!family.empty()) RETURN_IF_ERROR(FindFamily(family).status());
  std::vector<Candidate> candidates;
  for (const Family* each : Families()) {
    if (!family.empty() && each->name != family) continue;
    for (Config& config : EnumerateLegal(*each, problem, device)) {
      candidates.push_back({each, std::move(config)});
    }
  }
  if (sample == 0 || sample >= static_cast<int64_t>(candidates.size())) return candidates;
  std::vector<Candidate> chosen;
  std::ranges::sample(candidates, std::back_inserter(chosen), sample,
                      std::mt19937_64(static_cast<uint64_t>(seed)));
  return chosen;
}

Json CompiledJson(const Compiled& compiled) {
  const KernelFacts& facts = compiled.result.facts;
  return {{"family", compiled.candidate.family->name},
          {"config", ConfigJson(compiled.candidate.config)},
          {"outcome", OutcomeName(compiled.result.outcome)},
          {"error", compiled.result.error},
          {"registers", facts.registers},
          {"static_shared_bytes", facts.static_shared_bytes},
          {"stack_bytes", facts.stack_bytes},
          {"spill_bytes", facts.spill_bytes},
          {"compile_ms", compiled.result.compile_ms},
          {"cubin_sha256", compiled.result.cubin_sha256}};
}

std::vector<std::string> Row(const Compiled& compiled) {
  const KernelFacts& facts = compiled.result.facts;
  return {std::string(compiled.candidate.family->name),
          compiled.candidate.config.Text(),
          absl::StrFormat("%d", facts.registers),
          absl::StrFormat("%d", facts.static_shared_bytes),
          absl::StrFormat("%d", facts.stack_bytes + facts.spill_bytes),
          absl::StrFormat("%.0f", compiled.result.compile_ms),
          compiled.result.error.empty() ? std::string(OutcomeName(compiled.result.outcome))
                                        : compiled.result.error};
}

struct CompileOptions {
  std::string arch;
  std::string family;
  std::string problem = "forward/bf16/plain/e8/t1024x2/n4096/k4096";
  std::string cubins;
  int64_t sample = 0;
  int64_t seed = 1;
  int64_t jobs = std::max(1u, std::thread::hardware_concurrency());
  bool json = false;
};

void AddOptions(Options& options, CompileOptions& compile) {
  options.Text("arch", "ARCH", &compile.arch, "sm_90a, or a device such as h200");
  options.Text("family", "NAME", &compile.family, "only this family (default: all)");
  options.Text("problem", "KEY", &compile.problem,
               "gives op, dtypes and fusions, and what is legal (default: a plain bf16 forward)");
  options.Integer("sample", "N", &compile.sample, 0, 1000000,
                  "a seeded sample of N configs; 0: all");
  options.Integer("seed", "N", &compile.seed, 0, INT64_MAX, "of the sample");
  options.Integer("jobs", "N", &compile.jobs, 1, 1024, "compile processes");
  AddCubinFolderOption(options, &compile.cubins);
  AddJsonOption(options, &compile.json);
}

absl::StatusOr<std::vector<Compiled>> CompileAll(const CompileOptions& compile,
                                                 const Problem& problem,
                                                 const std::vector<Candidate>& candidates,
                                                 std::string_view target) {
  ASSIGN_OR_RETURN(const std::string folder, CubinFolder(compile.cubins));
  ASSIGN_OR_RETURN(const std::vector<std::string> worker, WorkerProgram({}));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<CompilePool> pool,
      CompilePool::Start(
          {.worker = worker, .cubin_folder = folder, .processes = static_cast<int>(compile.jobs)}));
  for (const Candidate& candidate : candidates) pool->Submit(problem, candidate, target);
  std::vector<Compiled> all;
  for (const Candidate& candidate : candidates) {
    ASSIGN_OR_RETURN(CompileResult result, pool->Wait(problem, candidate, target));
    all.push_back({candidate, std::move(result)});
  }
  return all;
}

void Print(const std::vector<Compiled>& all, bool json) {
  if (json) {
    Json list = Json::array();
    for (const Compiled& compiled : all) list.push_back(CompiledJson(compiled));
    std::cout << JsonText(list);
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Compiled& compiled : all) rows.push_back(Row(compiled));
  std::cout << TableText(
      {"family", "config", "registers", "shared bytes", "local bytes", "ms", "outcome"}, rows);
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  CompileOptions compile;
  Options options(
      "moetune compile --arch ARCH [OPTION...]",
      "Compiles the legal configs of a problem into the cubin cache and prints what the "
      "compiler says of each. Exit code 1 when any fails, spills or has a stack frame.");
  AddOptions(options, compile);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (compile.arch.empty()) return UsageError("compile: give --arch, such as sm_90a");

  const absl::StatusOr<DeviceSpec> device = FindKnownDevice(compile.arch);
  if (!device.ok()) return UsageError(device.status());
  const absl::StatusOr<Problem> problem = ParseProblem(compile.problem);
  if (!problem.ok()) return UsageError(problem.status());
  const absl::StatusOr<std::vector<Candidate>> candidates =
      Candidates(compile.family, *problem, *device, compile.sample, compile.seed);
  if (!candidates.ok()) return UsageError(candidates.status());

  ASSIGN_OR_RETURN(
      const std::vector<Compiled> all,
      CompileAll(compile, *problem, *candidates, ArchName(device->compute_capability)));
  Print(all, compile.json);
  const bool good = std::ranges::all_of(
      all, [](const Compiled& compiled) { return compiled.result.outcome == Outcome::kOk; });
  return good ? kExitOk : kExitFailed;
}

}  // namespace

extern const Command kCompileCommand;
const Command kCompileCommand = {
    .name = "compile",
    .summary = "compile the configs for an architecture, and say what came of each",
    .run = Run,
};

}  // namespace moetune
