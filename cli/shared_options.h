// Options that several commands share, and what they stand for.
#ifndef MOETUNE_CLI_SHARED_OPTIONS_H_
#define MOETUNE_CLI_SHARED_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/options.h"
#include "db/snapshot.h"
#include "kernels/problem.h"

namespace moetune {

// --db. Without it $XDG_DATA_HOME/moetune/moetune.db, or that below ~/.local/share.
void AddDatabaseOption(Options& options, std::string* path);
absl::StatusOr<std::string> DatabasePath(const std::string& given);
// The same for a command that writes: the default's folder is made.
absl::StatusOr<std::string> WritableDatabasePath(const std::string& given);

// --cubins. Without it $XDG_CACHE_HOME/moetune/cubins, or that below ~/.cache.
void AddCubinFolderOption(Options& options, std::string* folder);
absl::StatusOr<std::string> CubinFolder(const std::string& given);

// The command line of a child process: the given words, or this program as `moetune worker`.
absl::StatusOr<std::vector<std::string>> WorkerProgram(const std::vector<std::string>& given);

// --db and --server, of which at most one may be given.
void AddSourceOptions(Options& options, std::string* db, std::string* server);
absl::Status CheckSource(const std::string& db, const std::string& server);

// The winners in the database at `given`, which must exist.
absl::StatusOr<std::shared_ptr<const Snapshot>> ReadSnapshot(const std::string& given);

// --problem KEY, or its parts one by one.
struct ProblemOptions {
  std::string key;
  std::string op;       // empty: forward
  std::string dtype;    // empty: bf16
  std::string fusions;  // empty: plain
  std::string routing;  // empty: softmax
  int64_t experts = 0;
  int64_t top_k = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t tokens = 0;
  int64_t rows = 0;  // 0: tokens * top_k

  bool operator==(const ProblemOptions&) const = default;
};
void AddProblemOptions(Options& options, ProblemOptions* problem);
absl::StatusOr<Problem> ToProblem(const ProblemOptions& problem);

// --device-name. Without it the GPU of this machine; without one the empty spec, which ChooseDevice
// and the server take for the only device that there are winners for.
void AddDeviceNameOption(Options& options, std::string* name);
struct AskedDevice {
  DeviceSpec spec;    // with only a name when it was given by name
  bool here = false;  // it is this machine's
};
AskedDevice DeviceOrMachine(const std::string& name);

void AddJsonOption(Options& options, bool* json);

}  // namespace moetune

#endif  // MOETUNE_CLI_SHARED_OPTIONS_H_
