// JobQueue: named jobs for several threads. Each name is done once, and its result kept.
#ifndef MOETUNE_TUNER_JOB_QUEUE_H_
#define MOETUNE_TUNER_JOB_QUEUE_H_

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "db/mutex.h"

namespace moetune {

// Thread-safe. Jobs are handed out in the order in which they came, spare ones when no other waits.
template <typename Job, typename Result>
class JobQueue {
 public:
  // Adds a job, unless one of this name was added before. One that was added as a spare job waits
  // among the others from now on.
  void Push(const std::string& name, Job job) {
    {
      MutexLock lock(mutex_);
      if (!results_.try_emplace(name).second) {
        const auto spare = std::ranges::find(spare_, name, &Named::first);
        if (spare == spare_.end()) return;
        spare_.erase(spare);
      }
      waiting_.emplace_back(name, std::move(job));
    }
    pushed_.notify_all();
  }

  // The same, for who has nothing else to do.
  void PushSpare(const std::string& name, Job job) {
    {
      MutexLock lock(mutex_);
      if (!results_.try_emplace(name).second) return;
      spare_.emplace_back(name, std::move(job));
    }
    pushed_.notify_all();
  }

  // The next job, once there is one; nullopt once the queue has been stopped. Who does not take
  // spare jobs is always there for the others.
  std::optional<std::pair<std::string, Job>> Pop(bool takes_spare) {
    MutexLock lock(mutex_);
    while (true) {
      if (stopped_) return std::nullopt;
      if (!waiting_.empty()) return Take(waiting_);
      if (takes_spare && !spare_.empty()) return Take(spare_);
      pushed_.wait(mutex_);
    }
  }

  void Finish(const std::string& name, Result result) {
    {
      MutexLock lock(mutex_);
      results_[name] = std::move(result);
    }
    finished_.notify_all();
  }

  // The result of a job that was pushed, once it is finished; nullopt once the queue has been
  // stopped.
  std::optional<Result> Wait(const std::string& name) {
    MutexLock lock(mutex_);
    while (!results_[name] && !stopped_) finished_.wait(mutex_);
    return results_[name];
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
  using Named = std::pair<std::string, Job>;

  static Named Take(std::deque<Named>& jobs) {
    Named next = std::move(jobs.front());
    jobs.pop_front();
    return next;
  }

  mutable Mutex mutex_;
  Condition pushed_, finished_;
  std::deque<Named> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<Named> spare_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::optional<Result>> results_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_JOB_QUEUE_H_
