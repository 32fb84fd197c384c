#include "runtime/miss_queue.h"

namespace moetune {

MissQueue::MissQueue() {
  for (uint64_t i = 0; i < cells_.size(); ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
}

bool MissQueue::Push(const Problem& problem) {
  uint64_t position = next_push_.load(std::memory_order_relaxed);
  while (true) {
    Cell& cell = cells_[position % cells_.size()];
    const uint64_t turn = cell.turn.load(std::memory_order_acquire);
    if (turn < position) return false;  // the problem of the round before is still in it
    if (turn > position) {              // another thread was faster
      position = next_push_.load(std::memory_order_relaxed);
      continue;
    }
    if (!next_push_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
      continue;
    }
    cell.problem = problem;
    cell.turn.store(position + 1, std::memory_order_release);
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_one();
    return true;
  }
}

std::optional<Problem> MissQueue::Next() {
  done_.store(next_take_, std::memory_order_release);
  done_.notify_all();
  Cell& cell = cells_[next_take_ % cells_.size()];
  while (true) {
    const uint32_t signal = signal_.load(std::memory_order_acquire);
    if (closed_.load(std::memory_order_acquire)) return std::nullopt;
    if (cell.turn.load(std::memory_order_acquire) == next_take_ + 1) break;
    signal_.wait(signal, std::memory_order_acquire);
  }
  const Problem problem = cell.problem;
  cell.turn.store(next_take_ + cells_.size(), std::memory_order_release);
  ++next_take_;
  return problem;
}

void MissQueue::Close() {
  closed_.store(true, std::memory_order_release);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();
}

void MissQueue::WaitUntilIdle() const {
  const uint64_t target = next_push_.load(std::memory_order_acquire);
  while (true) {
    const uint64_t done = done_.load(std::memory_order_acquire);
    if (done >= target) return;
    done_.wait(done, std::memory_order_acquire);
  }
}

}  // namespace moetune
