// A search whose order stands from the start: what it observes only spares a candidate.
#ifndef MOETUNE_TUNER_STRATEGIES_FIXED_ORDER_H_
#define MOETUNE_TUNER_STRATEGIES_FIXED_ORDER_H_

#include <utility>
#include <vector>

#include "tuner/search_strategy.h"

namespace moetune {

class FixedOrder : public SearchStrategy {
 public:
  // `order` is a permutation of the candidates' indices.
  explicit FixedOrder(std::vector<size_t> order)
      : order_(std::move(order)), done_(order_.size(), false) {}

  std::vector<size_t> Suggest(size_t count) override {
    std::vector<size_t> suggested;
    for (; suggested.size() < count && next_ < order_.size(); ++next_) {
      if (!done_[order_[next_]]) suggested.push_back(order_[next_]);
    }
    return suggested;
  }

  void Observe(size_t candidate, std::optional<double>) override { done_[candidate] = true; }

 private:
  std::vector<size_t> order_;
  std::vector<bool> done_;
  size_t next_ = 0;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_STRATEGIES_FIXED_ORDER_H_
