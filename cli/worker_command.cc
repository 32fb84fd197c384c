// worker: what `tune` and `compile` start as their child processes; hidden, since nobody else can
// talk to it.
#include "cli/command.h"
#include "tuner/worker.h"

namespace moetune {
namespace {

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  if (!arguments.empty()) return UsageError("worker: takes no arguments; moetune starts it itself");
  return RunWorker({});
}

}  // namespace

extern const Command kWorkerCommand;
const Command kWorkerCommand = {.name = "worker", .summary = "", .run = Run};

}  // namespace moetune
