// JobQueue: named jobs for several threads. Each name is done once, and its result kept.
#ifndef MOETUNE_TUNER_JOB_QUEUE_H_
#define MOETUNE_TUNER_JOB_QUEUE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "db/mutex.h"

namespace moetune {

enum class Turn : uint8_t {
  kFirst,  // before all others: somebody waits for it
  kNext,
  kSpare,  // for who has nothing else to do
};

enum class JobState : uint8_t { kWaiting, kBegun, kFinished };

// Thread-safe. Jobs are handed out by their turns, those of one turn in the order in which they
// came.
template <typename Job, typename Result>
class JobQueue {
 public:
  // Adds a job. One of this name that was added before, and not begun, has the earlier of the two
  // turns from now on.
  void Push(const std::string& name, Job job, Turn turn = Turn::kNext) {
    {
      MutexLock lock(mutex_);
      const auto [at, is_new] = entries_.try_emplace(name);
      Entry& entry = at->second;
      if (is_new) entry.job = std::move(job);
      if (!entry.job || (!is_new && entry.turn <= turn)) return;
      entry.turn = turn;
      QueueOf(turn).push_back(at);
    }
    pushed_.notify_all();
  }

  // The next job, once there is one; nullopt once the queue has been stopped. Who does not take
  // spare jobs is always there for the others.
  std::optional<std::pair<std::string, Job>> Pop(bool takes_spare) {
    MutexLock lock(mutex_);
    while (!stopped_) {
      for (const Turn turn : {Turn::kFirst, Turn::kNext, Turn::kSpare}) {
        if (turn == Turn::kSpare && !takes_spare) break;
        if (auto next = Take(turn)) return next;
      }
      pushed_.wait(mutex_);
    }
    return std::nullopt;
  }

  // The first result stands. A job that nobody has begun is handed out no more.
  void Finish(const std::string& name, Result result) {
    {
      MutexLock lock(mutex_);
      Entry& entry = entries_[name];
      entry.job.reset();
      if (!entry.result) entry.result = std::move(result);
    }
    finished_.notify_all();
  }

  // Of a job that was pushed, as are those of the next two.
  JobState StateOf(const std::string& name) const {
    MutexLock lock(mutex_);
    return FindState(name);
  }

  // The place of the first of these jobs that is finished, once one is; nullopt once stopped.
  std::optional<size_t> WaitForAny(std::span<const std::string> names) {
    MutexLock lock(mutex_);
    while (!stopped_) {
      for (size_t i = 0; i < names.size(); ++i) {
        if (FindState(names[i]) == JobState::kFinished) return i;
      }
      finished_.wait(mutex_);
    }
    return std::nullopt;
  }

  // The result of a job, once it is finished; nullopt once the queue has been stopped.
  std::optional<Result> Wait(const std::string& name) {
    WaitForAny({&name, 1});
    MutexLock lock(mutex_);
    return entries_[name].result;
  }

  void Stop() {
    {
      MutexLock lock(mutex_);
      stopped_ = true;
    }
    pushed_.notify_all();
    finished_.notify_all();
  }

  bool stopped() const {
    MutexLock lock(mutex_);
    return stopped_;
  }

 private:
  struct Entry {
    std::optional<Job> job;  // until somebody begins it
    Turn turn = Turn::kNext;
    std::optional<Result> result;
  };
  using Entries = std::map<std::string, Entry>;
  using Queue = std::deque<typename Entries::iterator>;

  Queue& QueueOf(Turn turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queues_[static_cast<size_t>(turn)];
  }

  // Passes over what was begun or finished meanwhile, and what has an earlier turn now.
  std::optional<std::pair<std::string, Job>> Take(Turn turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Queue& queue = QueueOf(turn); !queue.empty();) {
      auto& [name, entry] = *queue.front();
      queue.pop_front();
      if (!entry.job || entry.turn != turn) continue;
      return std::pair(name, *std::exchange(entry.job, std::nullopt));
    }
    return std::nullopt;
  }

  JobState FindState(const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Entry& entry = entries_.at(name);
    if (entry.result) return JobState::kFinished;
    return entry.job ? JobState::kWaiting : JobState::kBegun;
  }

  mutable Mutex mutex_;
  Condition pushed_, finished_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  std::array<Queue, 3> queues_ ABSL_GUARDED_BY(mutex_);  // by turn
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_JOB_QUEUE_H_
