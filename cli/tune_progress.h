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
#include "tuner/sweep.h"

namespace moetune {

class TuneProgress : public SweepObserver {
 public:
  // Writes to `out`, which is borrowed. Rates of `device` give the percent of roof.
  TuneProgress(std::ostream& out, bool terminal, const DeviceSpec& device,
               std::function<absl::Time()> now = absl::Now);

  void OnProblem(size_t index, size_t count, const Problem& problem, size_t trials) override;
  void OnTrial(const Measurement& measurement, bool from_store) override;
  void OnResult(const Problem& problem, const absl::StatusOr<Winner>& winner,
                bool from_store) override;

  int failed_problems() const { return failed_problems_; }

 private:
  std::string StateText() const;
  std::string EtaText() const;
  void ClearLine();

  std::ostream& out_;
  const bool terminal_;
  const DeviceSpec device_;
  const std::function<absl::Time()> now_;
  const absl::Time started_;
  absl::Time shown_;

  size_t index_ = 0;
  size_t count_ = 0;
  Problem problem_;
  size_t trials_ = 0;  // expected of this problem
  size_t done_ = 0;    // of this problem
  double best_us_ = 0;
  std::map<Outcome, int> failures_;  // of this problem
  int failed_problems_ = 0;
};

// The closing table: each problem's winner with its rate, percent of roof and speed-up.
std::string WinnersText(const std::vector<Winner>& winners);

}  // namespace moetune

#endif  // MOETUNE_CLI_TUNE_PROGRESS_H_
