// The trials of our own sweeps as a trace: to replay strategies on, and to give to others.
#ifndef MOETUNE_TUNER_SWEEP_TRACE_H_
#define MOETUNE_TUNER_SWEEP_TRACE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "db/record.h"
#include "tuner/trace.h"

namespace moetune {

// What a trace can be made of: the trials of one problem on one device.
struct TracedProblem {
  Problem problem;
  std::string device;
  bool operator==(const TracedProblem&) const = default;
};

// Those that the records hold trials of, each once, in their order.
std::vector<TracedProblem> TracedProblems(std::span<const Record> records);

// The newest trial of each config, of each family in the environment of its newest trial. A time is
// that of the probe (or estimate), which all configs have: those of the final stand for a few,
// taken in another way. The family is the parameter "family". Each config that this program knows
// comes with its estimate by the cost model. NotFound without such trials.
absl::StatusOr<Trace> SweepTrace(std::span<const Record> records, const TracedProblem& traced);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SWEEP_TRACE_H_
