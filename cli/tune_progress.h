// What `moetune tune` shows while it works: one line rewritten on a terminal, plain lines
// elsewhere.
#ifndef MOETUNE_CLI_TUNE_PROGRESS_H_
#define MOETUNE_CLI_TUNE_PROGRESS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "db/mutex.h"
#include "tuner/sweep.h"

namespace moetune {

// Thread-safe.
class TuneProgress : public SweepObserver {
 public:
  // Writes to `out`, which is borrowed. Rates of `device` give the percent of roof.
  TuneProgress(std::ostream& out, bool terminal, const DeviceSpec& device,
               std::function<absl::Time()> now = absl::Now);

  void OnProblem(size_t index, size_t count, const Problem& problem, size_t trials) override;
  void OnTrial(const Measurement& measurement, bool from_store) override;
  void OnResult(const Problem& problem, const absl::StatusOr<Winner>& winner,
                bool from_store) override;

  int failed_problems() const {
    MutexLock lock(mutex_);
    return failed_problems_;
  }

 private:
  // A problem that is being tuned: with several devices there are several.
  struct Current {
    size_t index = 0;
    Problem problem;
    size_t trials = 0;  // expected
    size_t done = 0;
    double best_us = 0;
    std::map<Outcome, int> failures;
  };

  std::string StateText(const Current& current) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string EtaText() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ClearLine();

  std::ostream& out_;
  const bool terminal_;
  const DeviceSpec device_;
  const std::function<absl::Time()> now_;
  const absl::Time started_;

  mutable Mutex mutex_;
  absl::Time shown_ ABSL_GUARDED_BY(mutex_);
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;  // of problems
  size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Current> current_ ABSL_GUARDED_BY(mutex_);  // by key
  int failed_problems_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The closing table: each problem's winner with its rate, percent of roof and speed-up.
std::string WinnersText(const std::vector<Winner>& winners);

}  // namespace moetune

#endif  // MOETUNE_CLI_TUNE_PROGRESS_H_
