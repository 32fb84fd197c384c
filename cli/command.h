// Command: one verb of the program. Each stands in its own *_command.cc, and main.cc lists them
// all.
#ifndef MOETUNE_CLI_COMMAND_H_
#define MOETUNE_CLI_COMMAND_H_

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace moetune {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

struct Command {
  std::string_view name;
  std::string_view summary;  // one line for `moetune --help`; without one it is not listed there

  // Takes what stands behind the name, prints results to std::cout and returns the exit code. An
  // error is left to the caller to print: it costs exit code 1, a UsageError 2.
  absl::StatusOr<int> (*run)(std::span<const std::string> arguments);
};

// Marks an error as one of the command line itself. OK stays OK.
absl::Status UsageError(absl::Status status);
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

// The program: finds the command, runs it, prints its error as one line "moetune: ..." to std::cerr
// and returns the exit code. Knows --help and --version itself.
int RunProgram(std::span<const Command* const> commands, std::span<const std::string> arguments);

}  // namespace moetune

#endif  // MOETUNE_CLI_COMMAND_H_
