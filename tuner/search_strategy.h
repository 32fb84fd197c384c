// SearchStrategy: which candidates to measure next. Ask and tell; knows nothing of GPUs or stores.
#ifndef MOETUNE_TUNER_SEARCH_STRATEGY_H_
#define MOETUNE_TUNER_SEARCH_STRATEGY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/family.h"

namespace moetune {

// Made anew for every problem; deterministic in (candidates, options, observations).
class SearchStrategy {
 public:
  virtual ~SearchStrategy() = default;

  // Up to `count` indices of candidates, none ever suggested before. None: the search has ended, as
  // far as it can tell from what it has observed.
  virtual std::vector<size_t> Suggest(size_t count) = 0;

  // The time of a candidate in µs, or nullopt when it failed. Also told of candidates that it did
  // not suggest (from an earlier run): those are not suggested any more.
  virtual void Observe(size_t candidate, std::optional<double> time_us) = 0;
};

struct SearchOptions {
  uint64_t seed = 1;
  // A strategy that can tell ends where all that is left should gain less than this on the best
  // speed; 0: not before the last candidate.
  double least_gain = 0;
  bool ordered = true;  // candidates come with the most promising first
};

// `candidates` outlive the strategy.
using MakeStrategy = std::unique_ptr<SearchStrategy>(std::span<const Candidate> candidates,
                                                     const SearchOptions& options);
MakeStrategy MakeExhaustive;
MakeStrategy MakeRandom;
MakeStrategy MakeGenetic;
MakeStrategy MakeLocal;
MakeStrategy MakeAuto;

struct StrategyEntry {
  std::string_view name;
  std::string_view summary;
  MakeStrategy* make;
  bool learns =
      true;  // it suggests by what it has observed: the less it must guess ahead the better
  bool ends_itself = false;  // where all that is left should gain too little
};
std::span<const StrategyEntry> Strategies();
absl::StatusOr<const StrategyEntry*> FindStrategy(std::string_view name);

// Every legal candidate for the problem on the device, by ascending estimate; ties stay in the
// order of families and configs. The first one is the default.
std::vector<Candidate> RankCandidates(const Problem& problem, const DeviceSpec& device);

}  // namespace moetune

#endif  // MOETUNE_TUNER_SEARCH_STRATEGY_H_
