// Whether a winner may be out of date for this program on this machine.
#ifndef MOETUNE_CLI_STALE_HERE_H_
#define MOETUNE_CLI_STALE_HERE_H_

#include <string>
#include <vector>

#include "db/record.h"

namespace moetune {

// StaleReasons beside what this program and, if the winner is for its GPU, this machine would run
// today. Told here and not by a server, since which fingerprint counts depends on the family of the
// winner.
std::vector<std::string> StaleHere(const Winner& winner, bool for_this_machine);

}  // namespace moetune

#endif  // MOETUNE_CLI_STALE_HERE_H_
