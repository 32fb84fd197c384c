// The rows that open and close a sweep in the log.
#ifndef MOETUNE_TUNER_SWEEP_ROW_H_
#define MOETUNE_TUNER_SWEEP_ROW_H_

#include <string>

#include "db/record.h"
#include "tuner/sweep.h"

namespace moetune {

// As of now, on this machine.
Sweep SweepRow(const std::string& id, const SweepOptions& options, SweepState state);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SWEEP_ROW_H_
