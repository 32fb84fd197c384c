// CostEstimate: what a sweep is expected to take, told before it begins.
#ifndef MOETUNE_TUNER_COST_ESTIMATE_H_
#define MOETUNE_TUNER_COST_ESTIMATE_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tuner/evaluator.h"
#include "tuner/sweep.h"

namespace moetune {

// What stands in where a database has no past sweeps to go by. docs/measurement.md says where each
// is from.
struct CostAssumptions {
  double compile_seconds = 1;        // of one kernel in one process
  double trial_seconds = 0.06;       // verified, probed, and its share of the finals; 0: untimed
  double trials_of_a_problem = 170;  // until a strategy that ends by itself does
};

// A rate, and of how many past sweeps (or kernels) it is the mean; 0: it is assumed.
struct CostRate {
  double value = 0;
  size_t from = 0;
};

struct CostEstimate {
  size_t problems = 0;
  size_t candidates = 0;  // of all problems
  size_t known = 0;       // of these, measured before or failed
  size_t trials = 0;      // expected
  size_t kernels = 0;     // to compile: at most, those in the cubin cache aside
  bool ends_itself = false;
  CostRate trials_of_a_problem;  // where it ends by itself
  CostRate compile_seconds;      // of one kernel
  CostRate trial_seconds;        // on one device, of past sweeps with their waits for compiles
  double compiling = 0;          // seconds, by all processes
  double measuring = 0;          // seconds, on all devices; 0: nothing is timed
  // After so many seconds no new trial is begun.
  double limit = std::numeric_limits<double>::infinity();
  double all_seconds() const { return std::max(compiling, measuring); }  // without the limit
  double seconds() const { return std::min(all_seconds(), limit); }
};

// Of `problems` as RunSweep would take them on `devices` evaluators like this one, with `processes`
// that compile. `records` are those of its store.
absl::StatusOr<CostEstimate> EstimateCost(std::span<const Problem> problems,
                                          const SweepOptions& options, const Evaluator& evaluator,
                                          size_t devices, size_t processes,
                                          std::span<const Record> records,
                                          const CostAssumptions& assumptions = {});

// Two lines: what will be tried, and how long that takes, with what both rest on.
std::string CostText(const CostEstimate& cost);

}  // namespace moetune

#endif  // MOETUNE_TUNER_COST_ESTIMATE_H_
