// The rows of a sweep in the log that are no trials: its beginning and end, and the winners.
#ifndef MOETUNE_TUNER_SWEEP_ROW_H_
#define MOETUNE_TUNER_SWEEP_ROW_H_

#include <cstddef>
#include <span>
#include <string>

#include "db/record.h"
#include "kernels/family.h"
#include "tuner/sweep.h"
#include "tuner/winner_rule.h"

namespace moetune {

// As of now, on this machine.
Sweep SweepRow(const std::string& id, const SweepOptions& options, SweepState state);

// Of a final, by the measurements of the best and of the default beside it.
Winner WinnerRow(const Measurement& best, const Measurement& standard, const Verdict& verdict);

// False of a winner chosen among other candidates (of other families), or beside another default
// than the one at `standard`, which may be past the end: none.
bool WasChosenAmong(const Winner& winner, std::span<const Candidate> candidates, size_t standard);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SWEEP_ROW_H_
