// MissQueue: the problems that launches found nothing ready for, on their way to one background
// thread.
#ifndef MOETUNE_RUNTIME_MISS_QUEUE_H_
#define MOETUNE_RUNTIME_MISS_QUEUE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "kernels/problem.h"

namespace moetune {

// A bounded ring: any number of threads push, one takes.
class MissQueue {
 public:
  MissQueue();

  // Never locks, waits or allocates. False when the ring is full: the next launch brings it again.
  bool Push(const Problem& problem);

  // From the one consumer. The problem taken before counts as dealt with; waits for the next.
  // Nothing once closed.
  std::optional<Problem> Next();

  void Close();

  // Until every problem pushed before this call is dealt with.
  void WaitUntilIdle() const;

 private:
  // turn == position: free for the push at that position; position + 1: filled by it.
  struct Cell {
    std::atomic<uint64_t> turn;
    Problem problem;
  };

  std::array<Cell, 64> cells_;
  std::atomic<uint64_t> next_push_ = 0;
  std::atomic<uint64_t> done_ = 0;  // positions below it are dealt with
  uint64_t next_take_ = 0;          // the consumer's own
  std::atomic<uint32_t> signal_ = 0;
  std::atomic<bool> closed_ = false;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_MISS_QUEUE_H_
