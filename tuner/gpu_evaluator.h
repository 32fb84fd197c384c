// GpuEvaluator: verifies and times compiled candidates on one GPU. It lives in a child process,
// since a candidate may break the context, which only the end of the process repairs.
#ifndef MOETUNE_TUNER_GPU_EVALUATOR_H_
#define MOETUNE_TUNER_GPU_EVALUATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/clock_probe.h"
#include "runtime/cubin_cache.h"
#include "runtime/kernel.h"
#include "runtime/nvml.h"
#include "tuner/evaluator.h"
#include "tuner/rounds.h"
#include "tuner/timer.h"
#include "tuner/verifier.h"
#include "tuner/workload.h"

namespace moetune {

struct GpuOptions {
  int device = 0;
  uint64_t seed = 1;
  Policy policy;
  Histograms histograms;  // of every captured routing that will be measured
  std::function<uint32_t(int device)> throttling = ReadThrottling;
};

// What is being done, and so what is to blame when the process dies over it.
struct Step {
  enum Stage { kSetUp, kBase, kCandidate };
  Stage stage = kSetUp;
  size_t index = 0;  // of the base or candidate

  bool operator==(const Step&) const = default;
};

struct MeasureCalls {
  std::function<void(Step)> on_step;  // before everything that could take long or break

  // The outcome and all that was measured. What names a measurement (problem, device, environment,
  // candidate, cubin, seed) is for the receiver to fill in.
  std::function<void(size_t candidate, const Trial&)> on_trial;
};

// Not thread-safe.
class GpuEvaluator {
 public:
  // Cubins are taken from `cache`, under the name that `nvrtc_version` gives them; it never
  // compiles.
  static absl::StatusOr<std::unique_ptr<GpuEvaluator>> Create(const DriverApi& driver,
                                                              CubinCache cache,
                                                              std::string nvrtc_version,
                                                              GpuOptions options);

  const DeviceSpec& device() const { return context_.device(); }
  const std::string& driver_version() const { return driver_version_; }
  const Policy& policy() const { return options_.policy; }

  // Reports one trial per candidate. `bases` name, for some families, the config that others are
  // verified against if none has been found right yet. ResourceExhausted: the problem does not fit.
  // After any other error the process should end; candidates without a trial may be measured by
  // another one.
  absl::Status Measure(const Problem& problem, std::span<const Candidate> candidates, Effort effort,
                       std::span<const Candidate> bases, const MeasureCalls& calls);

  // From now on finals tell the SM clock of their samples. `cubin` is of ClockProbeSource.
  absl::Status UseClockProbe(const Cubin& cubin);

  // From now on the device compares outputs itself. `cubin` is of CompareSource.
  absl::Status UseComparison(const Cubin& cubin);

 private:
  // Of launches that were timed together.
  struct Sampled {
    Rounds rounds;
    std::vector<double> hot_us;  // of each launch; of a final alone
  };

  GpuEvaluator(Context context, Stream stream, CubinCache cache, std::string nvrtc_version,
               GpuOptions options);

  absl::Status LoadProblem(const Problem& problem);
  absl::StatusOr<LoadedKernel*> Load(const Candidate& candidate);
  absl::Status VerifyBases(const Candidate& candidate, std::span<const Candidate> bases,
                           const MeasureCalls& calls);
  // Loads and verifies. The kernel when it may be timed; null when `trial` says why not.
  absl::StatusOr<LoadedKernel*> MakeReady(const Candidate& candidate, Trial& trial,
                                          const std::function<void()>& before);
  absl::Status Probe(const LoadedKernel& kernel, Trial& trial, const std::function<void()>& before);
  absl::Status TimeTogether(std::span<LoadedKernel* const> kernels, Effort effort,
                            std::span<Trial> trials, const MeasureCalls& calls);
  absl::Status Blame(const absl::Status& error, Trial& trial) const;
  absl::StatusOr<Sampled> SampleTogether(std::span<const Enqueue> launches, bool is_final,
                                         const std::function<void(size_t)>& before);
  // What a final tells beside the time, of the candidate whose `draws` launches begin at `first`.
  static void SetFinal(const Sampled& sampled, size_t first, size_t draws,
                       Measurement& measurement);
  Enqueue LaunchOf(const LoadedKernel& kernel, int draw);

  Context context_;
  Stream stream_;
  CubinCache cache_;
  std::string nvrtc_version_;
  GpuOptions options_;
  std::string driver_version_;
  Workload workload_;
  Verifier verifier_;
  std::unique_ptr<Timer> timer_;
  std::optional<ClockProbe> clock_;
  std::map<std::string, LoadedKernel> kernels_;  // of each config; kept across problems
  std::map<std::string, KernelFacts> facts_;     // of their cubins, by KernelName
  Problem problem_;                              // the one loaded
  // Of it: what was found right, with a sample of the launch on each draw.
  std::map<std::string, std::vector<double>> verified_us_;
  std::vector<double> best_us_;  // of it, on each timed draw; 0: none known
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_GPU_EVALUATOR_H_
