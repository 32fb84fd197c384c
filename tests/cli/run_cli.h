// Commands run within the test: their exit code and what they print.
#ifndef MOETUNE_TESTS_CLI_RUN_CLI_H_
#define MOETUNE_TESTS_CLI_RUN_CLI_H_

#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "db/store.h"
#include "tests/testing/records.h"

namespace moetune {

struct CliResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// As `moetune ARGUMENTS...` with these commands alone.
inline CliResult RunCli(std::span<const Command* const> commands,
                        const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  std::streambuf* const real_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const real_err = std::cerr.rdbuf(err.rdbuf());
  const int exit_code = RunProgram(commands, arguments);
  std::cout.rdbuf(real_out);
  std::cerr.rdbuf(real_err);
  return {exit_code, out.str(), err.str()};
}

inline CliResult RunCli(const Command& command, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(command.name));
  return RunCli(std::vector<const Command*>{&command}, arguments);
}

// A new database at `path` with these winners, in their order.
inline void MakeDatabase(const std::string& path, const std::vector<Winner>& winners) {
  std::vector<Record> records;
  for (const Winner& winner : winners) records.push_back(NewRecord(winner));
  OpenStore(path, OpenMode::kReadWrite).value()->Append(records).value();
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_CLI_RUN_CLI_H_
