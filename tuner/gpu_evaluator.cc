#include "tuner/gpu_evaluator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"
#include "runtime/nvml.h"
#include "tuner/statistics.h"

namespace moetune {
namespace {

// Loaded modules cost device memory: about 100 KB each.
constexpr size_t kMaxLoaded = 2048;

std::string DriverVersion(const DriverApi& driver) {
  if (std::string text = DriverVersionText(); !text.empty()) return text;
  int version = 0;
  if (driver.version(&version) != 0) return "unknown";
  return absl::StrFormat("CUDA %d.%d", version / 1000, version % 1000 / 10);
}

std::string CandidateName(const Candidate& candidate) {
  return absl::StrFormat("%s %s", candidate.family->name, candidate.config.Text());
}

Trial NewTrial(Effort effort) {
  Trial trial;
  trial.measurement.effort = effort;
  trial.measurement.measured_at = NowUs();
  return trial;
}

void SetTime(std::vector<double> samples, double time_us, Trial& trial) {
  trial.measurement.outcome = Outcome::kOk;
  trial.measurement.time_us = time_us;
  trial.measurement.time_us_mad = MedianAbsoluteDeviation(samples);
  trial.measurement.samples = static_cast<int>(samples.size());
  trial.measurement.measured_at = NowUs();
  trial.samples_us = std::move(samples);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GpuEvaluator>> GpuEvaluator::Create(const DriverApi& driver,
                                                                   CubinCache cache,
                                                                   std::string nvrtc_version,
                                                                   GpuOptions options) {
  ASSIGN_OR_RETURN(Context context, Context::Acquire(driver, options.device));
  ASSIGN_OR_RETURN(Stream stream, Stream::Create(driver));
  std::unique_ptr<GpuEvaluator> evaluator(
      new GpuEvaluator(std::move(context), std::move(stream), std::move(cache),
                       std::move(nvrtc_version), std::move(options)));
  ASSIGN_OR_RETURN(Timer timer, Timer::Create(evaluator->context_, evaluator->stream_.get(),
                                              evaluator->options_.policy));
  evaluator->timer_ = std::make_unique<Timer>(std::move(timer));
  return evaluator;
}

GpuEvaluator::GpuEvaluator(Context context, Stream stream, CubinCache cache,
                           std::string nvrtc_version, GpuOptions options)
    : context_(std::move(context)),
      stream_(std::move(stream)),
      cache_(std::move(cache)),
      nvrtc_version_(std::move(nvrtc_version)),
      options_(std::move(options)),
      driver_version_(DriverVersion(context_.driver())),
      workload_(context_, stream_.get()),
      verifier_(workload_, stream_) {}

absl::Status GpuEvaluator::LoadProblem(const Problem& problem) {
  if (problem == problem_) return absl::OkStatus();
  problem_ = Problem();  // none, should the loading fail
  verifier_.Forget();
  verified_.clear();
  best_us_ = 0;
  if (kernels_.size() > kMaxLoaded) kernels_.clear();
  RETURN_IF_ERROR(workload_.Load(problem, options_.seed, options_.histograms));
  problem_ = problem;
  return absl::OkStatus();
}

absl::StatusOr<LoadedKernel*> GpuEvaluator::Load(const Candidate& candidate) {
  const std::string key = CubinKey(MakeSource(problem_.shape, candidate),
                                   ArchName(context_.device().compute_capability), nvrtc_version_);
  const std::optional<Cubin> cubin = cache_.Find(key);
  if (!cubin) {
    return absl::NotFoundError(absl::StrFormat("there is no cubin of %s in %s",
                                               CandidateName(candidate), cache_.folder().string()));
  }
  // How much shared memory a kernel may take is set when it is loaded.
  const Plan plan = candidate.family->plan(problem_, candidate.config, device(), cubin->facts);
  const std::string name = absl::StrFormat("%s %d", key, plan.dynamic_shared_bytes);
  if (const auto found = kernels_.find(name); found != kernels_.end()) return &found->second;
  ASSIGN_OR_RETURN(LoadedKernel kernel, LoadedKernel::Load(context_, *cubin, candidate, problem_));
  return &kernels_.emplace(name, std::move(kernel)).first->second;
}

// Writes the driver's error into the trial. Fails when the context is broken: then the device
// cannot be used any more.
absl::Status GpuEvaluator::Blame(const absl::Status& error, Trial& trial) const {
  const absl::Status health = stream_.Synchronize();
  trial.measurement.outcome = health.ok() ? Outcome::kLoadError : Outcome::kFault;
  trial.measurement.error = std::string(error.message());
  return health.ok() ? absl::OkStatus() : absl::AbortedError(error.message());
}

Enqueue GpuEvaluator::LaunchOf(const LoadedKernel& kernel) {
  return [this, &kernel, args = workload_.Args(0)] {
    return kernel.Launch(problem_, args, stream_.get());
  };
}

absl::Status GpuEvaluator::VerifyBases(const Candidate& candidate, std::span<const Candidate> bases,
                                       const MeasureCalls& calls) {
  for (size_t i = 0; i < bases.size(); ++i) {
    const bool needed =
        bases[i].family == candidate.family || bases[i].family->name == Verifier::kReference;
    if (!needed || bases[i] == candidate || verifier_.Knows(*bases[i].family)) continue;
    Trial trial;  // a base that turns out to be wrong is told so when it is a candidate itself
    RETURN_IF_ERROR(MakeReady(bases[i], trial, [&] { calls.on_step({Step::kBase, i}); }).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadedKernel*> GpuEvaluator::MakeReady(const Candidate& candidate, Trial& trial,
                                                      const std::function<void()>& before) {
  before();
  absl::StatusOr<LoadedKernel*> kernel = Load(candidate);
  if (!kernel.ok()) {
    RETURN_IF_ERROR(Blame(kernel.status(), trial));
    return nullptr;
  }
  trial.facts = (*kernel)->facts();
  if (verified_.contains(CandidateName(candidate))) return *kernel;
  const absl::StatusOr<Complaint> complaint = verifier_.Verify(**kernel, options_.seed, before);
  if (!complaint.ok()) {
    RETURN_IF_ERROR(Blame(complaint.status(), trial));
    return nullptr;
  }
  if (*complaint) {
    trial.measurement.outcome = Outcome::kWrongResult;
    trial.measurement.error = **complaint;
    // Who writes wrongly may have written into the inputs of those to come.
    RETURN_IF_ERROR(workload_.Refill());
    return nullptr;
  }
  verified_.insert(CandidateName(candidate));
  return *kernel;
}

absl::Status GpuEvaluator::Probe(const LoadedKernel& kernel, Trial& trial,
                                 const std::function<void()>& before) {
  absl::StatusOr<std::vector<double>> samples = timer_->Probe(LaunchOf(kernel), best_us_, before);
  if (!samples.ok()) return Blame(samples.status(), trial);
  const double least = *std::min_element(samples->begin(), samples->end());
  SetTime(*std::move(samples), least, trial);
  trial.measurement.clocks = ReadClocks(options_.device);
  if (best_us_ == 0 || least < best_us_) best_us_ = least;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<double>>> GpuEvaluator::SampleTogether(
    std::span<const Enqueue> launches, bool is_final, const std::function<void(size_t)>& before) {
  before(0);
  ASSIGN_OR_RETURN(const double first_us, timer_->Sample(launches[0]));
  const Policy& policy = options_.policy;
  const bool is_long = policy.IsLong(first_us);
  const int rounds = is_final ? (is_long ? policy.long_final_rounds : policy.final_rounds)
                              : (is_long ? policy.long_short_samples : policy.short_samples);
  const bool idle = is_final && problem_.tokens >= policy.idle_tokens;
  return timer_->Interleave(launches, rounds, idle, options_.seed, before);
}

absl::Status GpuEvaluator::TimeTogether(std::span<LoadedKernel* const> kernels, Effort effort,
                                        std::span<Trial> trials, const MeasureCalls& calls) {
  std::vector<Enqueue> launches;
  std::vector<size_t> candidates;
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (kernels[i] == nullptr) continue;
    launches.push_back(LaunchOf(*kernels[i]));
    candidates.push_back(i);
  }
  if (launches.empty()) return absl::OkStatus();
  size_t blamed = candidates.front();
  const auto before = [&](size_t launch) {
    blamed = candidates[launch];
    calls.on_step({Step::kCandidate, blamed});
  };

  auto samples = SampleTogether(launches, effort == Effort::kFinal, before);
  if (!samples.ok()) {
    Blame(samples.status(), trials[blamed]).IgnoreError();
    calls.on_trial(blamed, trials[blamed]);
    // The rounds of the others are lost with it.
    return absl::AbortedError(samples.status().message());
  }
  const Clocks clocks = ReadClocks(options_.device);
  for (size_t i = 0; i < candidates.size(); ++i) {
    Trial& trial = trials[candidates[i]];
    const double median = Median((*samples)[i]);
    SetTime(std::move((*samples)[i]), median, trial);
    trial.measurement.clocks = clocks;
  }
  return absl::OkStatus();
}

absl::Status GpuEvaluator::Measure(const Problem& problem, std::span<const Candidate> candidates,
                                   Effort effort, std::span<const Candidate> bases,
                                   const MeasureCalls& calls) {
  calls.on_step({Step::kSetUp, 0});
  RETURN_IF_ERROR(LoadProblem(problem));
  std::vector<Trial> trials;
  std::vector<LoadedKernel*> kernels;
  for (size_t i = 0; i < candidates.size(); ++i) {
    RETURN_IF_ERROR(VerifyBases(candidates[i], bases, calls));
    trials.push_back(NewTrial(effort));
    const auto before = [&] { calls.on_step({Step::kCandidate, i}); };
    const absl::StatusOr<LoadedKernel*> kernel = MakeReady(candidates[i], trials[i], before);
    absl::Status status = kernel.status();
    kernels.push_back(status.ok() ? *kernel : nullptr);
    const bool ready = kernels[i] != nullptr;
    if (ready && effort == Effort::kProbe) status = Probe(*kernels[i], trials[i], before);
    if (!ready || effort == Effort::kProbe) calls.on_trial(i, trials[i]);
    RETURN_IF_ERROR(status);
  }
  if (effort == Effort::kProbe) return absl::OkStatus();
  RETURN_IF_ERROR(TimeTogether(kernels, effort, trials, calls));
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (kernels[i] != nullptr) calls.on_trial(i, trials[i]);
  }
  return absl::OkStatus();
}

}  // namespace moetune
