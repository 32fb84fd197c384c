// ProblemSet: the problems that a command works through, as said on its command line.
#ifndef MOETUNE_CLI_PROBLEM_SET_H_
#define MOETUNE_CLI_PROBLEM_SET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/options.h"
#include "tuner/sweep_spec.h"

namespace moetune {

// As given.
struct ProblemSetOptions {
  std::vector<std::string> models;
  std::string hf_config;
  std::vector<std::string> problems;
  std::string ops, fusions, tokens, routing, routing_counts;

  bool HasProblems() const { return !models.empty() || !hf_config.empty() || !problems.empty(); }
  bool HasLists() const { return !(ops + fusions + tokens + routing + routing_counts).empty(); }
};
void AddProblemSetOptions(Options& options, ProblemSetOptions* set);

// InvalidArgument names the option or value that is wrong, NotFound a file that cannot be read.
absl::StatusOr<SweepSpec> ReadProblemSet(const ProblemSetOptions& set);

}  // namespace moetune

#endif  // MOETUNE_CLI_PROBLEM_SET_H_
