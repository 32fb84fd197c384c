// Random search: all candidates in a shuffled order. What every other strategy has to beat.
#include <numeric>

#include "tuner/random.h"
#include "tuner/strategies/fixed_order.h"

namespace moetune {

std::unique_ptr<SearchStrategy> MakeRandom(std::span<const Candidate> candidates,
                                           const SearchOptions& options) {
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Random{options.seed}.Shuffle(std::span(order));
  return std::make_unique<FixedOrder>(std::move(order));
}

}  // namespace moetune
