#include "cli/shared_options.h"

#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "kernels/status_macros.h"
#include "runtime/device.h"

namespace moetune {
namespace {

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status CheckComplete(const ProblemOptions& parts) {
  std::vector<std::string> missing;
  for (const auto& [option, value] : {std::pair{"--experts", parts.experts},
                                      {"--top-k", parts.top_k},
                                      {"--n", parts.n},
                                      {"--k", parts.k},
                                      {"--tokens", parts.tokens}}) {
    if (value == 0) missing.push_back(option);
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "the problem lacks %s; or give it whole as --problem KEY", absl::StrJoin(missing, ", ")));
}

absl::StatusOr<Problem> FromParts(const ProblemOptions& parts) {
  RETURN_IF_ERROR(CheckComplete(parts));
  Problem problem;
  Shape& shape = problem.shape;
  if (!parts.op.empty()) {
    ASSIGN_OR_RETURN(shape.op, ParseOp(parts.op));
  }
  if (!parts.dtype.empty()) RETURN_IF_ERROR(ParseDtypes(parts.dtype, shape));
  if (!parts.fusions.empty()) {
    ASSIGN_OR_RETURN(shape.fusions, ParseFusions(parts.fusions));
  }
  if (!parts.routing.empty()) {
    ASSIGN_OR_RETURN(problem.routing, ParseRouting(parts.routing));
  }
  shape.experts = parts.experts;
  shape.top_k = parts.top_k;
  shape.n = parts.n;
  shape.k = parts.k;
  problem.tokens = parts.tokens;
  problem.rows = parts.rows != 0 ? parts.rows : parts.tokens * parts.top_k;
  RETURN_IF_ERROR(ValidateProblem(problem));
  return problem;
}

}  // namespace

void AddDatabaseOption(Options& options, std::string* path) {
  options.Text("db", "FILE", path,
               "the database; without it $XDG_DATA_HOME/moetune/moetune.db, "
               "or ~/.local/share/moetune/moetune.db");
}

absl::StatusOr<std::string> DatabasePath(const std::string& given) {
  if (!given.empty()) return given;
  const std::string data = FromEnvironment("XDG_DATA_HOME");
  if (data.starts_with('/')) return data + "/moetune/moetune.db";
  const std::string home = FromEnvironment("HOME");
  if (!home.empty()) return home + "/.local/share/moetune/moetune.db";
  return UsageError("neither $XDG_DATA_HOME nor $HOME says where the database is: give --db FILE");
}

absl::StatusOr<std::string> WritableDatabasePath(const std::string& given) {
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(given));
  if (!given.empty()) return path;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return path;
  return absl::PermissionDeniedError(
      absl::StrFormat("cannot make the folder '%s': %s", folder.string(), error.message()));
}

void AddCubinFolderOption(Options& options, std::string* folder) {
  options.Text("cubins", "FOLDER", folder,
               "of compiled kernels (default: $XDG_CACHE_HOME/moetune/cubins)");
}

absl::StatusOr<std::string> CubinFolder(const std::string& given) {
  if (!given.empty()) return given;
  const std::string cache = FromEnvironment("XDG_CACHE_HOME");
  if (cache.starts_with('/')) return cache + "/moetune/cubins";
  const std::string home = FromEnvironment("HOME");
  if (!home.empty()) return home + "/.cache/moetune/cubins";
  return UsageError("neither $XDG_CACHE_HOME nor $HOME says where cubins go: give --cubins FOLDER");
}

absl::StatusOr<std::vector<std::string>> WorkerProgram(const std::vector<std::string>& given) {
  if (!given.empty()) return given;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return absl::InternalError(absl::StrFormat("cannot read /proc/self/exe: %s", error.message()));
  }
  return std::vector<std::string>{self.string(), "worker"};
}

void AddSourceOptions(Options& options, std::string* db, std::string* server) {
  AddDatabaseOption(options, db);
  options.Text("server", "HOST:PORT", server, "ask a running `moetune serve` instead");
}

absl::Status CheckSource(const std::string& db, const std::string& server) {
  if (db.empty() || server.empty()) return absl::OkStatus();
  return UsageError("give either --db or --server, not both");
}

absl::StatusOr<std::shared_ptr<const Snapshot>> ReadSnapshot(const std::string& given) {
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(given));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(ScanResult scan, store->Scan(0, kWinners));
  return Snapshot::Fold(nullptr, std::move(scan));
}

void AddProblemOptions(Options& options, ProblemOptions* problem) {
  options.Text("problem", "KEY", &problem->key,
               "the whole problem: OP/DTYPE/FUSIONS/eE/tTxTOPK/nN/kK[/rROWS]/ROUTING");
  options.Text("op", "OP", &problem->op, "forward (the default)");
  options.Text("dtype", "DTYPE", &problem->dtype, "bf16 (the default), fp16, bf16-fp32, ...");
  options.Text(
      "fusions", "LIST", &problem->fusions,
      "plain (the default), or gather, scatter, scale, swiglu, preact, combine joined by '+'");
  options.Integer("experts", "E", &problem->experts, 1, kMaxSize, "experts on this device");
  options.Integer("top-k", "TOPK", &problem->top_k, 1, kMaxSize, "experts that a token goes to");
  options.Integer("n", "N", &problem->n, 1, kMaxSize, "n of the stored weights (E, n, k)");
  options.Integer("k", "K", &problem->k, 1, kMaxSize, "k of the stored weights (E, n, k)");
  options.Integer("tokens", "T", &problem->tokens, 1, kMaxSize, "tokens in the batch");
  options.Integer("rows", "ROWS", &problem->rows, 1, kMaxSize,
                  "routed rows, where the experts are one rank's share; else tokens * top-k");
  options.Text("routing", "LIST", &problem->routing,
               "softmax (the default), balanced, zipf, counts-HASH, joined by '+'");
}

absl::StatusOr<Problem> ToProblem(const ProblemOptions& problem) {
  ProblemOptions key_alone;
  key_alone.key = problem.key;
  if (!problem.key.empty() && problem != key_alone) {
    return UsageError("give either --problem KEY or the parts of the problem, not both");
  }
  absl::StatusOr<Problem> result =
      problem.key.empty() ? FromParts(problem) : ParseProblem(problem.key);
  if (!result.ok()) return UsageError(result.status());
  return result;
}

void AddDeviceNameOption(Options& options, std::string* name) {
  options.Text("device-name", "NAME", name,
               "the GPU, as its driver names it or as h200, a100, sm_90a, ...; without it this "
               "machine's, else the only one with winners");
}

AskedDevice DeviceOrMachine(const std::string& name) {
  if (!name.empty()) return {.spec = {.name = name}};
  if (const absl::StatusOr<const DriverApi*> driver = OpenDriver(); driver.ok()) {
    const absl::StatusOr<std::vector<DeviceSpec>> devices = ListDevices(**driver);
    if (devices.ok() && !devices->empty()) return {.spec = devices->front(), .here = true};
  }
  return {};
}

void AddJsonOption(Options& options, bool* json) { options.Flag("json", json, "print JSON"); }

}  // namespace moetune
