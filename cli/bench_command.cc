// bench: what the winners of a database are worth: each timed beside its default, as other
// libraries were timed, against the floor of its problem.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/problem_set.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/text_file.h"
#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "tuner/statistics.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

struct BenchOptions {
  ProblemSetOptions problems;
  std::string db;
  std::string family;
  std::string peers;
  std::string baseline;
  int64_t device = 0;
  std::string out;
  std::string title = "Winners and defaults beside the floor";
  int64_t seed = 1;
  int64_t jobs = std::max(1u, std::thread::hardware_concurrency() - 1);
  std::string cubins;
  std::vector<std::string> worker;
  bool json = false;
};

void AddOptions(Options& options, BenchOptions& bench) {
  AddProblemSetOptions(options, &bench.problems);
  AddDatabaseOption(options, &bench.db);
  options.Text("family", "NAME", &bench.family,
               "in place of the winner the fastest config of this kernel family that was measured "
               "for the problem");
  options.Text(
      "peers", "CSV", &bench.peers,
      "times of other libraries, of whatever card, in columns of their own, scaled by torch "
      "where --baseline has it: model,tokens,routing,op,gemm,fusion,floor_us,best_peer,"
      "best_us,PEER,...");
  options.Text("baseline", "FILE", &bench.baseline,
               "what tests/gpu/torch_baseline.py printed on the same card a minute before");
  options.Integer("device", "ORDINAL", &bench.device, 0, 1023,
                  "a GPU of this machine (default: 0)");
  options.Text("out", "FILE", &bench.out,
               "write a result file for tests/gpu/results, anew after each problem");
  options.Text("title", "TEXT", &bench.title, "of the result file");
  options.Integer("seed", "N", &bench.seed, 0, INT64_MAX, "of data and routing");
  options.Integer("jobs", "N", &bench.jobs, 1, 1024, "compile processes");
  AddCubinFolderOption(options, &bench.cubins);
  options.Texts("worker", "WORD", &bench.worker,
                "command line of the child processes, word by word (default: this program's own)");
  AddJsonOption(options, &bench.json);
}

// What there is to compare with.
struct Beside {
  std::vector<PeerRow> peers;
  Baseline baseline;
};

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrFormat("'%s': %s", path, status.message()));
}

absl::StatusOr<Beside> ReadBeside(const BenchOptions& bench) {
  Beside beside;
  if (!bench.peers.empty()) {
    ASSIGN_OR_RETURN(const std::string csv, ReadTextFile(bench.peers));
    absl::StatusOr<std::vector<PeerRow>> peers = ReadPeers(csv);
    if (!peers.ok()) return InFile(bench.peers, peers.status());
    beside.peers = *std::move(peers);
  }
  if (!bench.baseline.empty()) {
    ASSIGN_OR_RETURN(const std::string lines, ReadTextFile(bench.baseline));
    absl::StatusOr<Baseline> baseline = ReadBaseline(lines);
    if (!baseline.ok()) return InFile(bench.baseline, baseline.status());
    beside.baseline = *std::move(baseline);
  }
  return beside;
}

// What is known of the best configs.
struct Known {
  std::shared_ptr<const Snapshot> snapshot;
  std::unique_ptr<Store> store;    // only with a family
  const Family* family = nullptr;  // all others are left aside
};

absl::StatusOr<Known> ReadKnown(const BenchOptions& bench) {
  Known known;
  ASSIGN_OR_RETURN(known.snapshot, ReadSnapshot(bench.db));
  if (bench.family.empty()) return known;
  ASSIGN_OR_RETURN(known.family, FindFamily(bench.family));
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(bench.db));
  ASSIGN_OR_RETURN(known.store, OpenStore(path, OpenMode::kReadOnly));
  return known;
}

// Sets the fastest config of the family that was measured for the row's problem in this
// environment, those of finals first; without any the one that the cost model likes best.
absl::Status ChooseOfFamily(const Known& known, const Evaluator& evaluator, BenchRow& row) {
  const std::string fingerprint = evaluator.EnvironmentOf(*known.family).kernel_fingerprint;
  ASSIGN_OR_RETURN(const ScanResult scan,
                   known.store->Scan(0, {.kinds = kMeasurements, .shape = row.problem.shape}));
  const Measurement* best = nullptr;
  const auto rank = [](const Measurement& m) { return std::pair(-int(m.effort), m.time_us); };
  for (const Record& record : scan.records) {
    const auto& m = std::get<Measurement>(record.row);
    const bool fits = m.problem == row.problem && m.family == known.family->name &&
                      m.device.name == evaluator.device().name && m.outcome == Outcome::kOk &&
                      m.effort != Effort::kEstimate &&
                      m.environment.kernel_fingerprint == fingerprint;
    if (fits && (best == nullptr || rank(m) < rank(*best))) best = &m;
  }
  if (best != nullptr) {
    row.tier = Tier::kExact;
    row.winner = {known.family, best->config};
    return absl::OkStatus();
  }
  const std::vector<Candidate>& ranked = evaluator.Ranked(row.problem);
  const auto first = std::ranges::find(ranked, known.family, &Candidate::family);
  if (first == ranked.end()) {
    return absl::NotFoundError(absl::StrFormat("%s does not run %s on %s", known.family->name,
                                               ProblemKey(row.problem), evaluator.device().name));
  }
  row.winner = *first;
  return absl::OkStatus();
}

absl::Status ChooseWinner(const Known& known, const Evaluator& evaluator, BenchRow& row) {
  if (known.family != nullptr) return ChooseOfFamily(known, evaluator, row);
  ASSIGN_OR_RETURN(const Choice choice, known.snapshot->Lookup(row.problem, evaluator.device()));
  row.tier = choice.tier;
  ASSIGN_OR_RETURN(row.winner.family, FindFamily(choice.winner->family));
  row.winner.config = choice.winner->config;
  return absl::OkStatus();
}

// What will be timed: winner and default of a problem, and what stands beside them.
absl::StatusOr<BenchRow> PlanRow(const Problem& problem, const Known& known, const Beside& beside,
                                 const Evaluator& evaluator, uint64_t seed,
                                 const Histograms& histograms) {
  const DeviceSpec& device = evaluator.device();
  BenchRow row = {.problem = problem};
  RETURN_IF_ERROR(ChooseWinner(known, evaluator, row));
  ASSIGN_OR_RETURN(row.fallback, DefaultCandidate(problem, device));
  std::vector<double> floors_us;  // of each routing of a mix, as its time is their mean
  for (const Problem& each : EachRouting(problem)) {
    ASSIGN_OR_RETURN(const RoutingDraw draw, TimedDraw(each, seed, histograms));
    const int64_t touched = std::ranges::count_if(draw.counts, [](int32_t n) { return n > 0; });
    row.touched_experts = std::max<int64_t>(row.touched_experts, touched);
    floors_us.push_back(FloorUs(each, touched, device));
  }
  row.floor_us = GeometricMean(floors_us);
  const auto baseline = beside.baseline.find(ProblemKey(problem));
  if (baseline != beside.baseline.end()) row.baseline = baseline->second;
  if (const PeerRow* peers = FindPeers(beside.peers, problem)) SetListed(*peers, row);
  return row;
}

std::vector<Candidate> CandidatesOf(const BenchRow& row) {
  if (row.winner == row.fallback) return {row.winner};
  return {row.winner, row.fallback};
}

// Times the row. A problem that does not fit the device is a row with that error.
absl::Status Time(Evaluator& evaluator, BenchRow& row) {
  const absl::StatusOr<std::vector<Trial>> trials =
      evaluator.Measure(row.problem, CandidatesOf(row), Effort::kFinal);
  if (absl::IsResourceExhausted(trials.status())) {
    row.measured.outcome = row.fallback_measured.outcome = Outcome::kLoadError;
    row.measured.error = std::string(trials.status().message());
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(trials.status());
  row.measured = trials->front().measurement;
  row.fallback_measured = trials->back().measurement;
  return absl::OkStatus();
}

std::string ProgressText(const BenchRow& row, size_t number, size_t count) {
  const std::string place = absl::StrFormat("[%d/%d] %s: ", number, count, ProblemKey(row.problem));
  if (!row.ok()) {
    return place + absl::StrFormat("%s %s: %s: %s\n", row.winner.family->name,
                                   row.winner.config.Text(), OutcomeName(row.measured.outcome),
                                   row.measured.error);
  }
  return place + absl::StrFormat(
                     "%s µs, %.2f of the floor, %s %s%s\n", MicrosecondsText(row.measured.time_us),
                     row.measured.time_us / row.floor_us, row.winner.family->name,
                     row.winner.config.Text(),
                     row.tier == Tier::kDefault ? "; there is no winner, this is the default" : "");
}

// Appends a word of a command as a shell reads it.
void AppendQuoted(std::string* text, const std::string& word) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:,=+@%-";
  const bool plain = !word.empty() && word.find_first_not_of(kPlain) == word.npos;
  text->append(plain ? word
                     : absl::StrFormat("'%s'", absl::StrJoin(absl::StrSplit(word, '\''), "'\\''")));
}

absl::Status WriteResult(const BenchOptions& bench, std::span<const std::string> arguments,
                         const Evaluator& evaluator, const std::vector<BenchRow>& rows) {
  if (bench.out.empty()) return absl::OkStatus();
  BenchRun run = {.title = bench.title,
                  .command = "moetune bench " + absl::StrJoin(arguments, " ", AppendQuoted),
                  .date = TimestampText(NowUs()).substr(0, 10),
                  .device = evaluator.device().name};
  for (const Family* family : Families()) {
    const Environment environment = evaluator.EnvironmentOf(*family);
    run.driver = environment.driver;
    run.nvrtc = environment.nvrtc;
    run.fingerprints[std::string(family->name)] = environment.kernel_fingerprint;
  }
  // Whoever is killed here leaves the file of the last row whole.
  const std::string part = bench.out + ".part";
  std::ofstream file(part, std::ios::binary);
  std::error_code error;
  if (file << JsonText(ResultJson(run, rows)) << std::flush) {
    std::filesystem::rename(part, bench.out, error);
    if (!error) return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrFormat("cannot write '%s'", bench.out));
}

void Print(const std::vector<BenchRow>& rows, bool json) {
  if (!json) {
    std::cout << BenchText(rows);
    return;
  }
  Json list = Json::array();
  for (const BenchRow& row : rows) list.push_back(BenchJson(row));
  std::cout << JsonText(list);
}

absl::StatusOr<std::unique_ptr<Evaluator>> StartEvaluator(const BenchOptions& bench,
                                                          const Histograms& histograms) {
  ASSIGN_OR_RETURN(const std::string cubins, CubinFolder(bench.cubins));
  ASSIGN_OR_RETURN(const WorkerCommand worker, WorkerProgram(bench.worker));
  return WorkerEvaluator::Start({.worker = worker,
                                 .cubin_folder = cubins,
                                 .device = static_cast<int>(bench.device),
                                 .compile_processes = static_cast<int>(bench.jobs),
                                 .seed = static_cast<uint64_t>(bench.seed),
                                 .histograms = histograms,
                                 .as_peers = true});
}

absl::StatusOr<std::vector<BenchRow>> PlanAll(const BenchOptions& bench, const SweepSpec& spec,
                                              const std::vector<Problem>& problems,
                                              const Beside& beside, Evaluator& evaluator,
                                              const Known& known) {
  std::vector<BenchRow> rows;
  for (const Problem& problem : problems) {
    ASSIGN_OR_RETURN(BenchRow row, PlanRow(problem, known, beside, evaluator,
                                           static_cast<uint64_t>(bench.seed), spec.histograms));
    evaluator.Prepare(problem, CandidatesOf(row));
    rows.push_back(std::move(row));
  }
  return rows;
}

// Times the planned rows in their order; each has its place in `timed` and in the result file as
// soon as it is done.
absl::Status TimeAll(const BenchOptions& bench, std::span<const std::string> arguments,
                     Evaluator& evaluator, std::vector<BenchRow> planned,
                     std::vector<BenchRow>& timed) {
  for (BenchRow& row : planned) {
    RETURN_IF_ERROR(Time(evaluator, row));
    timed.push_back(std::move(row));
    std::cerr << ProgressText(timed.back(), timed.size(), planned.size()) << std::flush;
    RETURN_IF_ERROR(WriteResult(bench, arguments, evaluator, timed));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  BenchOptions bench;
  Options options(
      "moetune bench (--model NAME | --hf-config FILE | --problem KEY) [OPTION...]",
      "Verifies and times the winner of each problem that the database has, and the default, as "
      "other libraries were timed (docs/measurement.md). Writes nothing to the database.");
  AddOptions(options, bench);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (!bench.problems.HasProblems()) {
    return UsageError("bench: say what to time: --model, --hf-config or --problem");
  }
  if (!bench.family.empty() && !FindFamily(bench.family).ok()) {
    return UsageError(FindFamily(bench.family).status());
  }
  const absl::StatusOr<SweepSpec> spec = ReadProblemSet(bench.problems);
  if (!spec.ok()) return UsageError(spec.status());
  const absl::StatusOr<std::vector<Problem>> problems = ExpandProblems(*spec);
  if (!problems.ok()) return UsageError(problems.status());
  const absl::StatusOr<Beside> beside = ReadBeside(bench);
  if (!beside.ok()) return UsageError(beside.status());

  ASSIGN_OR_RETURN(const Known known, ReadKnown(bench));
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator,
                   StartEvaluator(bench, spec->histograms));
  ASSIGN_OR_RETURN(std::vector<BenchRow> planned,
                   PlanAll(bench, *spec, *problems, *beside, *evaluator, known));
  std::vector<BenchRow> rows;
  const absl::Status status = TimeAll(bench, arguments, *evaluator, std::move(planned), rows);
  // What was timed is told, whatever came after it.
  Print(rows, bench.json);
  RETURN_IF_ERROR(status);
  return std::ranges::all_of(rows, &BenchRow::ok) ? kExitOk : kExitFailed;
}

}  // namespace

extern const Command kBenchCommand;
const Command kBenchCommand = {
    .name = "bench",
    .summary = "time winners and defaults as other libraries were timed",
    .run = Run,
};

}  // namespace moetune
