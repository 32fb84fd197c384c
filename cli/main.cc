// The table of commands. A command is a file *_command.cc and one entry here.
#include <string>
#include <vector>

#include "cli/command.h"

namespace moetune {

extern const Command kBenchCommand;
extern const Command kBundleCommand;
extern const Command kCompileCommand;
extern const Command kDevicesCommand;
extern const Command kDiffCommand;
extern const Command kDoctorCommand;
extern const Command kExplainCommand;
extern const Command kExportCommand;
extern const Command kImportCommand;
extern const Command kListCommand;
extern const Command kMergeCommand;
extern const Command kQueryCommand;
extern const Command kReplayCommand;
extern const Command kReportCommand;
extern const Command kServeCommand;
extern const Command kShowCommand;
extern const Command kTuneCommand;
extern const Command kWorkerCommand;

namespace {

constexpr const Command* kCommands[] = {
    &kTuneCommand,    &kQueryCommand,   &kServeCommand,  &kBenchCommand,  &kListCommand,
    &kShowCommand,    &kExplainCommand, &kDiffCommand,   &kReportCommand, &kMergeCommand,
    &kBundleCommand,  &kImportCommand,  &kExportCommand, &kReplayCommand, &kCompileCommand,
    &kDevicesCommand, &kDoctorCommand,  &kWorkerCommand,
};

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) {
  return moetune::RunProgram(moetune::kCommands, std::vector<std::string>(argv + 1, argv + argc));
}
