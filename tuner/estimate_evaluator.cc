#include "tuner/estimate_evaluator.h"

#include <utility>

#include "kernels/cost_model.h"
#include "kernels/status_macros.h"
#include "tuner/routing.h"
#include "tuner/statistics.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

constexpr std::string_view kPolicy = "estimate";
constexpr uint64_t kNoSeed = 0;  // nothing about an estimate is random

}  // namespace

absl::StatusOr<std::unique_ptr<EstimateEvaluator>> EstimateEvaluator::Start(
    const DeviceSpec& device, CompilePoolOptions options) {
  ASSIGN_OR_RETURN(std::unique_ptr<CompilePool> pool, CompilePool::Start(std::move(options)));
  return std::unique_ptr<EstimateEvaluator>(new EstimateEvaluator(device, std::move(pool)));
}

EstimateEvaluator::EstimateEvaluator(DeviceSpec device, std::unique_ptr<CompilePool> pool)
    : device_(std::move(device)),
      pool_(std::move(pool)),
      environments_(EnvironmentsOf("", pool_->nvrtc(), kPolicy)) {}

void EstimateEvaluator::Prepare(const Problem& problem, std::span<const Candidate> candidates) {
  for (const Candidate& candidate : candidates) {
    pool_->Submit(problem, candidate, ArchName(device_.compute_capability));
  }
}

void EstimateEvaluator::Foresee(const Problem& problem, std::span<const Candidate> candidates) {
  for (const Candidate& candidate : candidates) {
    pool_->SubmitSpare(problem, candidate, ArchName(device_.compute_capability));
  }
}

size_t EstimateEvaluator::WaitForAny(const Problem& problem,
                                     std::span<const Candidate> candidates) {
  return pool_->WaitForAny(problem, candidates, ArchName(device_.compute_capability));
}

absl::StatusOr<std::vector<Trial>> EstimateEvaluator::Measure(const Problem& problem,
                                                              std::span<const Candidate> candidates,
                                                              Effort) {
  std::vector<Trial> trials;
  for (const Candidate& candidate : candidates) {
    ASSIGN_OR_RETURN(const CompileResult compiled,
                     pool_->Wait(problem, candidate, ArchName(device_.compute_capability)));
    Trial trial = CompiledTrial(*this, problem, candidate, Effort::kEstimate, kNoSeed, compiled);
    if (compiled.outcome == Outcome::kOk) {
      for (const Problem& each : EachRouting(problem)) {
        trial.samples_us.push_back(EstimateUs(each, candidate, device_, &compiled.facts));
      }
      trial.measurement.time_us = GeometricMean(trial.samples_us);
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

}  // namespace moetune
