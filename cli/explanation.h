// Explanation: why a winner won, read from the trials of its problem.
#ifndef MOETUNE_CLI_EXPLANATION_H_
#define MOETUNE_CLI_EXPLANATION_H_

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "db/record.h"

namespace moetune {

// Configs that failed in one way.
struct Failures {
  int configs = 0;
  std::string example;  // the newest error
};

struct Explanation {
  std::shared_ptr<const Winner> winner;

  // What the winner was compared with, itself and the default included, the fastest first: the
  // interleaved rounds of its sweep, or for an estimated winner the estimates that were nearest.
  // Empty where the log has the winner alone.
  std::vector<Measurement> finalists;

  // Of the trials on the winner's device under its driver, NVRTC and policy, in any sweep. The
  // newest outcome of a config counts.
  int trials = 0;
  int configs = 0;
  std::map<Outcome, Failures> failures;

  // The fastest finalist that is not the winner; null without one. Faster than the winner where
  // that took fewer resources in the same time, by the rule of docs/measurement.md.
  const Measurement* RunnerUp() const;
  bool IsWinner(const Measurement& finalist) const;
  bool IsDefault(const Measurement& finalist) const;
};

// `measurements` in the order of the log; those of other problems and devices are passed over.
Explanation Explain(std::shared_ptr<const Winner> winner,
                    std::span<const Measurement* const> measurements);

// Those among records.
std::vector<const Measurement*> MeasurementsOf(std::span<const Record> records);

}  // namespace moetune

#endif  // MOETUNE_CLI_EXPLANATION_H_
