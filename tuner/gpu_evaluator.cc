#include "tuner/gpu_evaluator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"
#include "tuner/hot_time.h"
#include "tuner/kernel_name.h"
#include "tuner/statistics.h"

namespace moetune {
namespace {

// Loaded modules cost device memory: about 100 KB each. The whole space for three sets of fusions.
constexpr size_t kMaxLoaded = 4096;

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

// `samples` of each routing and, of each, the time that they stand for.
void SetTime(std::span<const std::vector<double>> samples, std::span<const double> times_us,
             Trial& trial) {
  const double time_us = GeometricMean(times_us);
  std::vector<double> relative;  // to the time of their routing
  trial.samples_us.clear();
  for (size_t i = 0; i < samples.size(); ++i) {
    for (const double sample : samples[i]) relative.push_back(sample / times_us[i]);
    trial.samples_us.insert(trial.samples_us.end(), samples[i].begin(), samples[i].end());
  }
  trial.measurement.outcome = Outcome::kOk;
  trial.measurement.time_us = time_us;
  trial.measurement.time_us_mad = time_us * MedianAbsoluteDeviation(relative);
  trial.measurement.samples = static_cast<int>(trial.samples_us.size());
  trial.measurement.measured_at = NowUs();
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

absl::Status GpuEvaluator::UseClockProbe(const Cubin& cubin) {
  ASSIGN_OR_RETURN(ClockProbe probe, ClockProbe::Load(context_, cubin));
  clock_.emplace(std::move(probe));
  return absl::OkStatus();
}

absl::Status GpuEvaluator::UseComparison(const Cubin& cubin) {
  ASSIGN_OR_RETURN(Comparison comparison, Comparison::Load(context_, cubin));
  verifier_.UseComparison(std::move(comparison));
  return absl::OkStatus();
}

absl::Status GpuEvaluator::LoadProblem(const Problem& problem) {
  if (problem == problem_) return absl::OkStatus();
  problem_ = Problem();  // none, should the loading fail
  verifier_.Forget();
  verified_us_.clear();
  best_us_.clear();
  if (kernels_.size() > kMaxLoaded) kernels_.clear();
  RETURN_IF_ERROR(workload_.Load(problem, options_.seed, options_.histograms));
  best_us_.resize(workload_.host().timed_draws());
  problem_ = problem;
  return absl::OkStatus();
}

absl::StatusOr<LoadedKernel*> GpuEvaluator::Load(const Candidate& candidate) {
  const std::string kernel_name = KernelName(problem_.shape, candidate);
  // A loaded kernel has one config, and how much shared memory it may take is set when it is
  // loaded.
  const auto name_with = [&](const KernelFacts& facts) {
    const Plan plan = candidate.family->plan(problem_, candidate.config, device(), facts);
    return absl::StrFormat("%s, %s, %d", kernel_name, candidate.config.Text(),
                           plan.dynamic_shared_bytes);
  };
  if (const auto facts = facts_.find(kernel_name); facts != facts_.end()) {
    const auto found = kernels_.find(name_with(facts->second));
    if (found != kernels_.end()) return &found->second;
  }
  const std::string key = CubinKey(MakeSource(problem_.shape, candidate),
                                   ArchName(context_.device().compute_capability), nvrtc_version_);
  const std::optional<Cubin> cubin = cache_.Find(key);
  if (!cubin) {
    return absl::NotFoundError(absl::StrFormat("there is no cubin of %s in %s",
                                               CandidateName(candidate), cache_.folder().string()));
  }
  ASSIGN_OR_RETURN(LoadedKernel kernel, LoadedKernel::Load(context_, *cubin, candidate, problem_));
  facts_[kernel_name] = cubin->facts;
  return &kernels_.insert_or_assign(name_with(cubin->facts), std::move(kernel)).first->second;
}

// Writes the driver's error into the trial. Fails when the context is broken: then the device
// cannot be used any more.
absl::Status GpuEvaluator::Blame(const absl::Status& error, Trial& trial) const {
  const absl::Status health = stream_.Synchronize();
  trial.measurement.outcome = health.ok() ? Outcome::kLoadError : Outcome::kFault;
  trial.measurement.error = std::string(error.message());
  return health.ok() ? absl::OkStatus() : absl::AbortedError(error.message());
}

Enqueue GpuEvaluator::LaunchOf(const LoadedKernel& kernel, int draw) {
  return [this, &kernel, args = workload_.Args(draw)] {
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
  if (verified_us_.contains(CandidateName(candidate))) return *kernel;
  std::vector<double> samples_us;
  const auto sample = [&](const Enqueue& launch) -> absl::Status {
    before();
    ASSIGN_OR_RETURN(samples_us.emplace_back(), timer_->Sample(launch));
    return absl::OkStatus();
  };
  const absl::StatusOr<Complaint> complaint = verifier_.Verify(**kernel, options_.seed, sample);
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
  verified_us_[CandidateName(candidate)] = std::move(samples_us);
  return *kernel;
}

absl::Status GpuEvaluator::Probe(const LoadedKernel& kernel, Trial& trial,
                                 const std::function<void()>& before) {
  const std::vector<double>& verified_us = verified_us_.at(CandidateName(kernel.candidate()));
  std::vector<std::vector<double>> samples;
  std::vector<double> least_us;
  for (size_t draw = 0; draw < best_us_.size(); ++draw) {
    double& best_us = best_us_[draw];
    absl::StatusOr<std::vector<double>> probed =
        timer_->Probe(LaunchOf(kernel, static_cast<int>(draw)), verified_us[draw], best_us, before);
    if (!probed.ok()) return Blame(probed.status(), trial);
    samples.push_back(*std::move(probed));
    least_us.push_back(std::ranges::min(samples.back()));
    if (best_us == 0 || least_us.back() < best_us) best_us = least_us.back();
  }
  SetTime(samples, least_us, trial);
  trial.measurement.clocks = ReadClocks(options_.device);
  return absl::OkStatus();
}

void GpuEvaluator::SetFinal(const Sampled& sampled, size_t first, size_t draws,
                            Measurement& measurement) {
  const Rounds& rounds = sampled.rounds;
  measurement.hot_us = GeometricMean(std::span(sampled.hot_us).subspan(first, draws));
  measurement.sm_clock_mhz = Median(std::span(rounds.sm_clock_mhz).subspan(first, draws));
  measurement.clocks.throttle = ThrottleText(rounds.throttling);
  measurement.unsteady_rounds = rounds.unsteady;
}

absl::StatusOr<GpuEvaluator::Sampled> GpuEvaluator::SampleTogether(
    std::span<const Enqueue> launches, bool is_final, const std::function<void(size_t)>& before) {
  before(0);
  ASSIGN_OR_RETURN(const double first_us, timer_->Sample(launches[0]));
  const Policy& policy = options_.policy;
  const bool is_long = policy.IsLong(first_us);
  RoundOptions options = {.rounds = is_long ? policy.long_short_samples : policy.short_samples,
                          .seed = options_.seed,
                          .before = before};
  if (is_final) {
    options.rounds = is_long ? policy.long_final_rounds : policy.final_rounds;
    options.idle = problem_.tokens >= policy.idle_tokens;
    options.throttling = [this] { return options_.throttling(options_.device); };
    options.clock = clock_ ? &*clock_ : nullptr;
  }
  Sampled sampled;
  ASSIGN_OR_RETURN(sampled.rounds, Interleave(*timer_, launches, options));
  if (!is_final) return sampled;
  ASSIGN_OR_RETURN(sampled.hot_us, HotTimes(*timer_, launches, is_long, options_.seed, before));
  return sampled;
}

absl::Status GpuEvaluator::TimeTogether(std::span<LoadedKernel* const> kernels, Effort effort,
                                        std::span<Trial> trials, const MeasureCalls& calls) {
  const int draws = workload_.host().timed_draws();
  std::vector<Enqueue> launches;  // of each candidate one on every timed draw
  std::vector<size_t> candidates;
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (kernels[i] == nullptr) continue;
    for (int draw = 0; draw < draws; ++draw) launches.push_back(LaunchOf(*kernels[i], draw));
    candidates.push_back(i);
  }
  if (launches.empty()) return absl::OkStatus();
  size_t blamed = candidates.front();
  const auto before = [&](size_t launch) {
    blamed = candidates[launch / draws];
    calls.on_step({Step::kCandidate, blamed});
  };

  const absl::StatusOr<Sampled> sampled =
      SampleTogether(launches, effort == Effort::kFinal, before);
  if (!sampled.ok()) {
    Blame(sampled.status(), trials[blamed]).IgnoreError();
    calls.on_trial(blamed, trials[blamed]);
    // The rounds of the others are lost with it.
    return absl::AbortedError(sampled.status().message());
  }
  const Clocks clocks = ReadClocks(options_.device);
  for (size_t i = 0; i < candidates.size(); ++i) {
    Trial& trial = trials[candidates[i]];
    const auto of_candidate = std::span(sampled->rounds.samples_us).subspan(i * draws, draws);
    std::vector<double> medians;
    for (const std::vector<double>& of_draw : of_candidate) medians.push_back(Median(of_draw));
    SetTime(of_candidate, medians, trial);
    trial.measurement.clocks = clocks;
    if (effort != Effort::kFinal) continue;
    SetFinal(*sampled, i * draws, draws, trial.measurement);
    if (draws > 1) trial.measurement.routing_us = std::move(medians);
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
