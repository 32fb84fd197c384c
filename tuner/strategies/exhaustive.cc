// Exhaustive search: all candidates in the order they are given, which is the cost model's, so that
// a search cut short has seen the most promising ones.
#include <numeric>

#include "tuner/strategies/fixed_order.h"

namespace moetune {

std::unique_ptr<SearchStrategy> MakeExhaustive(std::span<const Candidate> candidates,
                                               const SearchOptions&) {
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  return std::make_unique<FixedOrder>(std::move(order));
}

}  // namespace moetune
