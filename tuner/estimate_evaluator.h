// EstimateEvaluator: ranks candidates for a GPU that is not here, by the cost model on the facts of
// the compiled kernels.
#ifndef MOETUNE_TUNER_ESTIMATE_EVALUATOR_H_
#define MOETUNE_TUNER_ESTIMATE_EVALUATOR_H_

#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tuner/compile_pool.h"
#include "tuner/evaluator.h"

namespace moetune {

class EstimateEvaluator : public Evaluator {
 public:
  // Compiles for `device` in a pool of child processes.
  static absl::StatusOr<std::unique_ptr<EstimateEvaluator>> Start(const DeviceSpec& device,
                                                                  CompilePoolOptions options);

  const DeviceSpec& device() const override { return device_; }
  Environment EnvironmentOf(const Family& family) const override {
    return environments_.at(family.name);
  }
  void Prepare(const Problem& problem, std::span<const Candidate> candidates) override;
  void Foresee(const Problem& problem, std::span<const Candidate> candidates) override;
  size_t WaitForAny(const Problem& problem, std::span<const Candidate> candidates) override;

  // Whatever the effort, trials are of kEstimate, with the estimate as their one sample.
  absl::StatusOr<std::vector<Trial>> Measure(const Problem& problem,
                                             std::span<const Candidate> candidates,
                                             Effort effort) override;

 private:
  EstimateEvaluator(DeviceSpec device, std::unique_ptr<CompilePool> pool);

  const DeviceSpec device_;
  const std::unique_ptr<CompilePool> pool_;
  const std::map<std::string_view, Environment> environments_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_ESTIMATE_EVALUATOR_H_
