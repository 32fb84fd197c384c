// The rule that picks a winner from the final rounds, and says why.
#ifndef MOETUNE_TUNER_WINNER_RULE_H_
#define MOETUNE_TUNER_WINNER_RULE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/family.h"
#include "tuner/statistics.h"

namespace moetune {

struct Finalist {
  Candidate candidate;
  std::vector<double> samples_us;  // of the same rounds for all finalists; not empty
  double hot_us = 0;               // back to back; 0: unknown
  int registers = 0;               // per thread
  int64_t shared_bytes = 0;        // static and dynamic
};

struct Verdict {
  size_t winner = 0;  // index of the finalist
  Interval time_us;   // its median and 95 % interval
  std::string reason;
};

// For a problem that mixes `routings`, the samples being as many of each, one routing after the
// other. Leaves each finalist those of the routing where its median is the largest multiple of the
// best finalist's there, as multiples of that best, in units of the geometric mean of the bests: so
// the fastest is who has the least worst ratio. Returns that unit, in µs. With one routing nothing
// changes, and the unit is the best median.
double JudgeByWorstRouting(std::span<Finalist> finalists, size_t routings);

// finalists[0] is the default. Another one wins only when it is faster by more than `guard_band`
// and the 95 % interval of the paired ratio lies above 1. Of those that do, the ones not surely
// slower than the fastest by more than the band are equals: the best back-to-back time wins, and of
// all within the band of it fewer registers, then less shared memory, then the first in lexical
// order.
Verdict ChooseWinner(std::span<const Finalist> finalists, double guard_band, uint64_t seed);

// ChooseWinner among finalists timed on each kind of `routing`; of a mix, whose finalists it judges
// as above, the reason says the winner's worst ratio.
Verdict ChooseRobustWinner(std::span<Finalist> finalists, const Routing& routing, double guard_band,
                           uint64_t seed);

}  // namespace moetune

#endif  // MOETUNE_TUNER_WINNER_RULE_H_
