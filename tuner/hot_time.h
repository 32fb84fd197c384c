// The back-to-back (hot) time of finalists: launches that follow one another with nothing flushed
// between them and no rest, as in a server under load. It decides among those that are equally
// fast cold (tuner/winner_rule.h).
#ifndef MOETUNE_TUNER_HOT_TIME_H_
#define MOETUNE_TUNER_HOT_TIME_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "tuner/timer.h"

namespace moetune {

// times[i] of one of launches[i], in µs: the median of a few rounds, each of which samples every
// launch once in an order drawn anew. `before` is told the index of each launch first; after an
// error the one told last is to blame.
absl::StatusOr<std::vector<double>> HotTimes(Timer& timer, std::span<const Enqueue> launches,
                                             bool is_long, uint64_t seed,
                                             const std::function<void(size_t)>& before);

}  // namespace moetune

#endif  // MOETUNE_TUNER_HOT_TIME_H_
