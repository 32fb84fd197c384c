// tune: finds the best config of each problem on a GPU, or by the cost model for one that is not
// here.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/problem_set.h"
#include "cli/shared_options.h"
#include "cli/text_file.h"
#include "cli/tune_progress.h"
#include "cli/version.h"
#include "cli/winner_json.h"
#include "kernels/names.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "tuner/cost_estimate.h"
#include "tuner/estimate_evaluator.h"
#include "tuner/search_strategy.h"
#include "tuner/sweep_spec.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

constexpr std::string_view kEstimatePrefix = "estimate:";
constexpr int64_t kMaxShards = 1000000;

// As given; Sweep parts are turned into their types by the functions below.
struct TuneOptions {
  ProblemSetOptions problems;
  std::string spec;
  std::string db;
  std::string device = "0";
  std::string shard;
  std::string strategy = "auto";
  std::string families;
  bool known = false;
  int64_t budget = 0;
  std::string time_limit;
  std::string guard_band;
  bool fresh = false;
  int64_t seed = 1;
  int64_t jobs = std::max(1u, std::thread::hardware_concurrency() - 1);
  std::string cubins;
  std::vector<std::string> worker;
  bool json = false;
};

void AddOptions(Options& options, TuneOptions& tune) {
  AddProblemSetOptions(options, &tune.problems);
  options.Text("spec", "FILE", &tune.spec,
               "a text-proto moetune.v1.SweepSpec, instead of the above");
  AddDatabaseOption(options, &tune.db);
  options.Text("device", "ORDINALS|estimate:NAME", &tune.device,
               "a GPU of this machine, or several of one kind, each with problems of its own: 0,1; "
               "or one to rank for without timing: estimate:h200 (default: 0)");
  options.Text("shard", "I/N", &tune.shard,
               "of every N problems only the I-th, from 1/N to N/N: one for each job of an array, "
               "each with a database of its own (moetune merge)");
  options.Text("families", "LIST", &tune.families,
               "winners among these kernel families alone, timed beside the cost model's first "
               "choice of theirs (default: all)");
  options.Flag("known", &tune.known,
               "only configs whose kernels the database has seen run with the same op, dtype and "
               "fusions: nothing but defaults is compiled, so many more problems are tuned in the "
               "time");
  std::vector<std::string> names;
  for (const StrategyEntry& entry : Strategies()) names.emplace_back(entry.name);
  options.Text("strategy", "NAME", &tune.strategy,
               absl::StrFormat("of the search: %s (default: auto)", absl::StrJoin(names, ", ")));
  options.Integer("budget", "N", &tune.budget, 0, 1000000,
                  "most candidates per problem (default: no limit; auto ends by itself)");
  options.Text("time-limit", "DURATION", &tune.time_limit, "begin no trial past it: 90s, 15m, 2h");
  options.Text("guard-band", "PERCENT", &tune.guard_band,
               absl::StrFormat("a winner must be surely faster than the default by more than "
                               "this, and equals within it are told apart by their times back to "
                               "back, 0 to 50 (default: %g)",
                               100 * SweepOptions().guard_band));
  options.Flag("fresh", &tune.fresh, "measure again what the database has already");
  options.Integer("seed", "N", &tune.seed, 0, INT64_MAX, "of data, routing and search");
  options.Integer("jobs", "N", &tune.jobs, 1, 1024, "compile processes in all");
  AddCubinFolderOption(options, &tune.cubins);
  options.Texts("worker", "WORD", &tune.worker,
                "command line of the child processes, word by word (default: this program's own)");
  AddJsonOption(options, &tune.json);
}

absl::StatusOr<SweepSpec> ReadSpec(const TuneOptions& tune) {
  if (tune.problems.HasProblems() == !tune.spec.empty()) {
    return absl::InvalidArgumentError(
        "tune: say what to tune: --model, --hf-config or --problem, or else --spec");
  }
  if (tune.spec.empty()) return ReadProblemSet(tune.problems);
  if (tune.problems.HasLists()) {
    return absl::InvalidArgumentError(
        "tune: ops, fusions, tokens and routing stand in the --spec file");
  }
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(tune.spec));
  return ParseSweepSpec(text);
}

// Problems I, I + N, I + 2 N... of I/N: neighbours in the list, which take about as long, go to
// different shards. A shard past the last problem has none.
absl::StatusOr<std::vector<Problem>> TakeShard(const std::string& shard,
                                               std::vector<Problem> problems) {
  if (shard.empty()) return problems;
  const size_t slash = shard.find('/');
  if (slash == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrFormat("tune: --shard '%s' is not of the form I/N, such as 1/4 to 4/4", shard));
  }
  ASSIGN_OR_RETURN(const int64_t count,
                   ParseInteger("--shard I/N: N", shard.substr(slash + 1), 1, kMaxShards));
  ASSIGN_OR_RETURN(const int64_t index,
                   ParseInteger("--shard I/N: I", shard.substr(0, slash), 1, count));
  std::vector<Problem> taken;
  for (size_t i = index - 1; i < problems.size(); i += count) taken.push_back(problems[i]);
  return taken;
}

// A share, of a text in percent.
absl::StatusOr<double> ParseGuardBand(const std::string& text) {
  double percent = 0;
  if (absl::SimpleAtod(text, &percent) && percent >= 0 && percent <= 50) return percent / 100;
  return absl::InvalidArgumentError(
      absl::StrFormat("tune: --guard-band '%s' is no percentage from 0 to 50", text));
}

// The device of estimate:NAME.
absl::StatusOr<DeviceSpec> EstimatedDevice(std::string_view device) {
  return FindKnownDevice(device.substr(kEstimatePrefix.size()));
}

// "0" or "0,1": each once. None of an estimate.
absl::StatusOr<std::vector<int>> ParseOrdinals(const std::string& list) {
  if (list.starts_with(kEstimatePrefix)) {
    RETURN_IF_ERROR(EstimatedDevice(list).status());
    return std::vector<int>();
  }
  const std::vector<std::string> texts = absl::StrSplit(list, ',');
  std::vector<int> ordinals;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(const int64_t ordinal, ParseInteger("--device", text, 0, 1023));
    if (std::ranges::find(ordinals, ordinal) != ordinals.end()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--device '%s' names %d twice", list, ordinal));
    }
    ordinals.push_back(static_cast<int>(ordinal));
  }
  return ordinals;
}

// The compile processes are shared out among the devices.
int JobsOfEach(const TuneOptions& tune, size_t devices) {
  return std::max(1,
                  static_cast<int>(tune.jobs / static_cast<int64_t>(std::max<size_t>(devices, 1))));
}

absl::StatusOr<SweepOptions> ReadSweepOptions(const TuneOptions& tune,
                                              const std::vector<Problem>& problems,
                                              size_t devices) {
  SweepOptions sweep;
  ASSIGN_OR_RETURN(const StrategyEntry* strategy, FindStrategy(tune.strategy));
  sweep.strategy = tune.strategy;
  // Enough to keep every compiler busy; what is suggested ahead of the trials is suggested blindly.
  if (strategy->learns) {
    sweep.look_ahead = std::min(sweep.look_ahead, JobsOfEach(tune, devices) + 1);
  }
  for (const std::string& name :
       std::vector<std::string>(absl::StrSplit(tune.families, ',', absl::SkipEmpty()))) {
    ASSIGN_OR_RETURN(const Family* family, FindFamily(name));
    sweep.families.push_back(family);
  }
  sweep.known = tune.known;
  sweep.budget = static_cast<int>(tune.budget);
  if (!tune.time_limit.empty() && (!absl::ParseDuration(tune.time_limit, &sweep.time_limit) ||
                                   sweep.time_limit <= absl::ZeroDuration())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("tune: --time-limit '%s' is no duration above zero, such as 90s, 15m, 2h",
                        tune.time_limit));
  }
  if (!tune.guard_band.empty()) {
    ASSIGN_OR_RETURN(sweep.guard_band, ParseGuardBand(tune.guard_band));
  }
  sweep.fresh = tune.fresh;
  sweep.seed = static_cast<uint64_t>(tune.seed);
  sweep.version = std::string(Version());
  sweep.spec_text = absl::StrJoin(problems, "\n", [](std::string* out, const Problem& problem) {
    out->append(ProblemKey(problem));
  });
  return sweep;
}

using Evaluators = std::vector<std::unique_ptr<Evaluator>>;

// One per device.
absl::StatusOr<Evaluators> StartEvaluators(const TuneOptions& tune,
                                           const std::vector<int>& ordinals,
                                           const Histograms& histograms) {
  ASSIGN_OR_RETURN(const std::string cubins, CubinFolder(tune.cubins));
  ASSIGN_OR_RETURN(const WorkerCommand worker, WorkerProgram(tune.worker));
  Evaluators evaluators;
  if (tune.device.starts_with(kEstimatePrefix)) {
    ASSIGN_OR_RETURN(const DeviceSpec device, EstimatedDevice(tune.device));
    ASSIGN_OR_RETURN(evaluators.emplace_back(),
                     EstimateEvaluator::Start(device, {.worker = worker,
                                                       .cubin_folder = cubins,
                                                       .processes = static_cast<int>(tune.jobs)}));
    return evaluators;
  }
  std::shared_ptr<CompilePool> pool;  // the first one's, for all
  auto rankings = std::make_shared<Rankings>();
  for (const int ordinal : ordinals) {
    ASSIGN_OR_RETURN(std::unique_ptr<WorkerEvaluator> started,
                     WorkerEvaluator::Start({.worker = worker,
                                             .cubin_folder = cubins,
                                             .device = ordinal,
                                             .compile_processes = static_cast<int>(tune.jobs),
                                             .pool = pool,
                                             .rankings = rankings,
                                             .seed = static_cast<uint64_t>(tune.seed),
                                             .histograms = histograms}));
    pool = started->pool();
    evaluators.push_back(std::move(started));
    const std::string& name = evaluators.back()->device().name;
    if (name != evaluators[0]->device().name) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--device '%s': device %d is a %s and device %d a %s; a sweep runs on "
                          "devices of one kind",
                          tune.device, ordinals[0], evaluators[0]->device().name, ordinal, name));
    }
  }
  return evaluators;
}

// Once, though every device says it.
void PrintNotes(const Evaluators& evaluators, std::ostream& out) {
  std::set<std::string> notes;
  for (const std::unique_ptr<Evaluator>& evaluator : evaluators) {
    const auto* worker = dynamic_cast<const WorkerEvaluator*>(evaluator.get());
    if (worker != nullptr) notes.insert(worker->notes().begin(), worker->notes().end());
  }
  for (const std::string& note : notes) out << "note: " << note << '\n';
}

// Of a sweep that is about to begin.
absl::Status PrintCost(const TuneOptions& tune, const std::vector<Problem>& problems,
                       const SweepOptions& sweep, Store& store, const Evaluators& evaluators,
                       std::ostream& out) {
  ASSIGN_OR_RETURN(const ScanResult scan,
                   store.Scan(0, {.kinds = kMeasurements | kSweeps, .shape = {}}));
  CostAssumptions assumptions;
  if (tune.device.starts_with(kEstimatePrefix)) assumptions.trial_seconds = 0;
  ASSIGN_OR_RETURN(const CostEstimate cost,
                   EstimateCost(problems, sweep, *evaluators[0], evaluators.size(),
                                static_cast<size_t>(tune.jobs), scan.records, assumptions));
  out << CostText(cost);
  return absl::OkStatus();
}

void PrintUsage(const Evaluators& evaluators) {
  for (const std::unique_ptr<Evaluator>& evaluator : evaluators) {
    const auto* worker = dynamic_cast<const WorkerEvaluator*>(evaluator.get());
    if (worker == nullptr) continue;
    const WorkerEvaluator::Usage usage = worker->usage();
    const auto percent = [&](absl::Duration part) {
      return 100 * absl::FDivDuration(part, std::max(usage.total, absl::Nanoseconds(1)));
    };
    const absl::Duration rest =
        usage.total - usage.starting - usage.measuring - usage.waiting_for_compiles;
    std::cout << absl::StrFormat(
        "%.1f s: %.0f %% measuring, %.0f %% waiting for compiles, %.0f %% search and store, "
        "%.0f %% starting; %d restarts of the timing process\n",
        absl::ToDoubleSeconds(usage.total), percent(usage.measuring),
        percent(usage.waiting_for_compiles), percent(rest), percent(usage.starting),
        usage.restarts);
  }
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  TuneOptions tune;
  Options options(
      "moetune tune (--model NAME | --hf-config FILE | --problem KEY | --spec FILE) [OPTION...]",
      "Compiles, verifies and times the kernel configs of each problem, and keeps the winner. Goes "
      "on where an earlier run on the same database ended, however it ended.");
  AddOptions(options, tune);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;

  const absl::StatusOr<SweepSpec> spec = ReadSpec(tune);
  if (!spec.ok()) return UsageError(spec.status());
  absl::StatusOr<std::vector<Problem>> problems = ExpandProblems(*spec);
  if (problems.ok()) problems = TakeShard(tune.shard, *std::move(problems));
  if (!problems.ok()) return UsageError(problems.status());
  const absl::StatusOr<std::vector<int>> ordinals = ParseOrdinals(tune.device);
  if (!ordinals.ok()) return UsageError(ordinals.status());
  const absl::StatusOr<SweepOptions> sweep = ReadSweepOptions(tune, *problems, ordinals->size());
  if (!sweep.ok()) return UsageError(sweep.status());
  ASSIGN_OR_RETURN(const std::string path, WritableDatabasePath(tune.db));
  ASSIGN_OR_RETURN(const Evaluators evaluators, StartEvaluators(tune, *ordinals, spec->histograms));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadWrite));
  std::vector<Evaluator*> borrowed;
  for (const auto& evaluator : evaluators) borrowed.push_back(evaluator.get());

  // With --json the results alone stand on standard output.
  std::ostream& progress_out = tune.json ? std::cerr : std::cout;
  PrintNotes(evaluators, progress_out);
  RETURN_IF_ERROR(PrintCost(tune, *problems, *sweep, *store, evaluators, progress_out));
  TuneProgress progress(progress_out, isatty(tune.json ? STDERR_FILENO : STDOUT_FILENO) != 0,
                        evaluators[0]->device());
  ASSIGN_OR_RETURN(const std::vector<Winner> winners,
                   RunSweep(*problems, *sweep, *store, borrowed, progress));
  RETURN_IF_ERROR(store->Close());
  if (tune.json) {
    Json list = Json::array();
    for (const Winner& winner : winners) list.push_back(WinnerJson(winner));
    std::cout << JsonText(list);
  } else {
    std::cout << '\n' << WinnersText(winners);
    PrintUsage(evaluators);
  }
  return progress.failed_problems() == 0 ? kExitOk : kExitFailed;
}

}  // namespace

extern const Command kTuneCommand;
const Command kTuneCommand = {
    .name = "tune",
    .summary = "find the best config of each problem, and keep it",
    .run = Run,
};

}  // namespace moetune
