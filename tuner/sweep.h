// The sweep: for each problem suggest, prepare, measure, append, observe; then the finalists
// against the default, and a winner. The one loop of tuning.
#ifndef MOETUNE_TUNER_SWEEP_H_
#define MOETUNE_TUNER_SWEEP_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "db/store.h"
#include "tuner/evaluator.h"

namespace moetune {

struct SweepOptions {
  std::string strategy = "exhaustive";
  std::vector<const Family*> families;  // winners among theirs alone; none: all
  bool known = false;  // only kernels that the store knows, and the defaults of the sweep
  int budget = 0;      // candidates per problem; 0: all
  absl::Duration time_limit = absl::InfiniteDuration();  // no new trial is begun past it
  bool fresh = false;                                    // measure again what the store has already
  uint64_t seed = 1;
  std::string spec_text;  // kept in the Sweep row, as is the version
  std::string version;

  int warm_start = 8;   // winners of the nearest problems, tried first
  int look_ahead = 32;  // candidates that compile ahead of the one being timed
  int short_list = 32;  // best by their probes, timed again when they are more than the finalists
  int finalists = 8;    // timed interleaved with the default; more gain nothing above the noise
  // A winner must beat the default by more than this; a search may end where it expects less.
  double guard_band = 0.02;
  std::function<absl::Time()> now = absl::Now;
};

// Told of everything as it happens: from the caller's thread, and of each further evaluator from
// another one. Problems are then told of side by side.
class SweepObserver {
 public:
  virtual ~SweepObserver() = default;
  virtual void OnProblem(size_t index, size_t count, const Problem& problem, size_t trials) = 0;
  virtual void OnTrial(const Measurement& measurement, bool from_store) = 0;
  // How a problem ended: with a winner, or why it has none.
  virtual void OnResult(const Problem& problem, const absl::StatusOr<Winner>& winner,
                        bool from_store) = 0;
};

// Tunes every problem in order, on each evaluator one at a time: all trials of a problem are made
// by one of them. The evaluators are of like devices; one at least. Each trial is in the store when
// the next ends; what the store holds of the same environment is not measured again, unless
// `fresh`. A kernel that failed once is not tried again, in any problem. Returns the winners, in
// the problems' order; a problem that no family can run, that does not fit the device, or none of
// whose candidates passed, has none.
absl::StatusOr<std::vector<Winner>> RunSweep(const std::vector<Problem>& problems,
                                             const SweepOptions& options, Store& store,
                                             std::span<Evaluator* const> evaluators,
                                             SweepObserver& observer);
inline absl::StatusOr<std::vector<Winner>> RunSweep(const std::vector<Problem>& problems,
                                                    const SweepOptions& options, Store& store,
                                                    Evaluator& evaluator, SweepObserver& observer) {
  Evaluator* const alone = &evaluator;
  return RunSweep(problems, options, store, {&alone, 1}, observer);
}

}  // namespace moetune

#endif  // MOETUNE_TUNER_SWEEP_H_
