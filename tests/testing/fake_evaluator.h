// FakeEvaluator: an Evaluator without processes, whose candidates take the time and have the
// outcome that a test says.
#ifndef MOETUNE_TESTS_TESTING_FAKE_EVALUATOR_H_
#define MOETUNE_TESTS_TESTING_FAKE_EVALUATOR_H_

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "db/mutex.h"
#include "tests/testing/fictional_devices.h"
#include "tuner/evaluator.h"

namespace moetune {

class FakeEvaluator : public Evaluator {
 public:
  // What a candidate does, on each routing of a problem. The default: one µs for each row of its
  // tile.
  std::function<double(const Problem&, const Candidate&)> time_us;
  std::function<double(const Candidate&)> hot_us;  // back to back; default: unknown
  std::function<Outcome(const Problem&, const Candidate&)> outcome;
  std::function<absl::Status(const Problem&, Effort)> failure;  // of a whole Measure
  // The place of what is compiled first. The default: the first one.
  std::function<size_t(std::span<const Candidate>)> compiled_first;

  DeviceSpec spec = Fiction100();
  std::string driver = "1.0";
  bool estimates = false;  // answers with effort kEstimate
  double scatter = 0;      // of the samples, relative: the same for every run
  int registers = 64;

  struct Call {
    Problem problem;
    std::vector<Candidate> candidates;
    Effort effort;
  };
  std::vector<Call> calls;          // of Measure
  std::vector<Candidate> prepared;  // in order

  // What was foreseen of this problem, once `count` candidates were; empty when that never comes.
  std::vector<Candidate> AwaitForeseen(const Problem& problem, size_t count) const;

  // The candidates measured with this effort, in order.
  std::vector<Candidate> Measured(Effort effort) const;

  const DeviceSpec& device() const override { return spec; }
  Environment EnvironmentOf(const Family& family) const override;
  void Prepare(const Problem& problem, std::span<const Candidate> candidates) override;
  void Foresee(const Problem& problem, std::span<const Candidate> candidates) override;
  size_t WaitForAny(const Problem& problem, std::span<const Candidate> candidates) override;
  absl::StatusOr<std::vector<Trial>> Measure(const Problem& problem,
                                             std::span<const Candidate> candidates,
                                             Effort effort) override;

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::vector<Candidate>> foreseen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FAKE_EVALUATOR_H_
