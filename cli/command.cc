#include "cli/command.h"

#include <algorithm>
#include <iostream>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "cli/version.h"
#include "kernels/names.h"
#include "kernels/registry.h"
#include "kernels/source.h"

namespace moetune {
namespace {

constexpr char kUsagePayload[] = "moetune/usage";

std::string Help(std::span<const Command* const> commands) {
  std::string help =
      "moetune finds, keeps and serves the fastest kernel configurations for MoE grouped GEMM.\n\n"
      "usage: moetune COMMAND [OPTION...]\n"
      "       moetune COMMAND --help\n"
      "       moetune --version\n\n"
      "commands:\n";
  size_t width = 0;
  for (const Command* command : commands) width = std::max(width, command->name.size());
  for (const Command* command : commands) {
    if (command->summary.empty()) continue;
    absl::StrAppendFormat(&help, "  %-*s  %s\n", static_cast<int>(width), command->name,
                          command->summary);
  }
  return help;
}

// The version, then each kernel family with the fingerprint that its measurements carry.
std::string VersionText() {
  std::string text = absl::StrFormat("moetune %s\n", Version());
  for (const Family* family : Families()) {
    absl::StrAppendFormat(&text, "%s %s\n", family->name, FamilyFingerprint(*family));
  }
  return text;
}

absl::StatusOr<const Command*> FindCommand(std::span<const Command* const> commands,
                                           std::string_view name) {
  std::vector<std::string_view> known;
  for (const Command* command : commands) {
    if (command->name == name) return command;
    if (!command->summary.empty()) known.push_back(command->name);
  }
  return UsageError(UnknownName("command", name, known));
}

int PrintError(const absl::Status& status) {
  std::string line(status.message());
  std::ranges::replace(line, '\n', ' ');
  std::cerr << "moetune: " << line << std::endl;
  return IsUsageError(status) ? kExitUsage : kExitFailed;
}

}  // namespace

absl::Status UsageError(absl::Status status) {
  if (!status.ok()) status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

absl::Status UsageError(std::string_view message) {
  return UsageError(absl::InvalidArgumentError(absl::StrFormat("%s", message)));
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

int RunProgram(std::span<const Command* const> commands, std::span<const std::string> arguments) {
  if (arguments.empty()) return PrintError(UsageError("no command; see moetune --help"));
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    std::cout << Help(commands) << std::flush;
    return kExitOk;
  }
  if (name == "--version") {
    std::cout << VersionText() << std::flush;
    return kExitOk;
  }
  const absl::StatusOr<const Command*> command = FindCommand(commands, name);
  if (!command.ok()) return PrintError(command.status());
  const absl::StatusOr<int> code = (*command)->run(arguments.subspan(1));
  if (!code.ok()) return PrintError(code.status());
  if (!std::cout.flush()) return PrintError(absl::InternalError("cannot write to the output"));
  return *code;
}

}  // namespace moetune
