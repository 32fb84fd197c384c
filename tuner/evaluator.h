// Evaluator: turns candidates into measurements. A failing candidate is a measurement with an
// outcome; a Status means that the sweep itself cannot go on.
#ifndef MOETUNE_TUNER_EVALUATOR_H_
#define MOETUNE_TUNER_EVALUATOR_H_

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "db/record.h"
#include "kernels/family.h"
#include "tuner/rankings.h"

namespace moetune {

// Of a problem that mixes routings the time is the geometric mean of those on each routing, and
// with kFinal the samples are as many of each routing, one routing after the other.
struct Trial {
  Measurement measurement;  // without its sweep id
  std::vector<double>
      samples_us;     // one per round; with kFinal the trials of a Measure share rounds
  KernelFacts facts;  // of the kernel that was timed
};

// Not thread-safe, but for Foresee and Ranked.
class Evaluator {
 public:
  // `rankings` may be another evaluator's.
  explicit Evaluator(std::shared_ptr<Rankings> rankings = std::make_shared<Rankings>())
      : rankings_(std::move(rankings)) {}
  virtual ~Evaluator() = default;

  // All candidates for the problem on this device in the cost model's order; the first is the
  // default. Valid as long as the evaluator.
  const std::vector<Candidate>& Ranked(const Problem& problem) const {
    return rankings_->Of(problem, device());
  }

  // The device, and the environment that a measurement of this family will carry.
  virtual const DeviceSpec& device() const = 0;
  virtual Environment EnvironmentOf(const Family& family) const = 0;

  // Says what will be measured soon, so that compiles run ahead. Returns at once.
  virtual void Prepare(const Problem& problem, std::span<const Candidate> candidates) = 0;

  // Says what is likely to be measured some time, so that nothing that could compile stands idle.
  // Returns at once.
  virtual void Foresee(const Problem& problem, std::span<const Candidate> candidates) = 0;

  // The place of one of `candidates`, which were prepared, that need not be waited for, the first
  // such; where all must be, waits for one.
  virtual size_t WaitForAny(const Problem& problem, std::span<const Candidate> candidates) = 0;

  // One trial per candidate, in their order; with kShort and kFinal all are timed interleaved, and
  // with kFinal a round counts for all of them. An evaluator that cannot time says so by effort
  // kEstimate. ResourceExhausted: this problem is too large, for the device or for the time that
  // setting it up may take; others may go on.
  virtual absl::StatusOr<std::vector<Trial>> Measure(const Problem& problem,
                                                     std::span<const Candidate> candidates,
                                                     Effort effort) = 0;

 private:
  std::shared_ptr<Rankings> rankings_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_EVALUATOR_H_
