#include "tuner/worker_evaluator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "tuner/kernel_name.h"
#include "tuner/verifier.h"

namespace moetune {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(60);  // a driver may take long to wake

// Children that die one after the other, with no candidate to blame, mean that the machine is at
// fault.
constexpr int kMaxFruitless = 3;

// To verify these candidates: theirs, and the one that these are verified against.
std::vector<const Family*> FamiliesNeeded(std::span<const Candidate> candidates) {
  std::vector<const Family*> needed;
  for (const Family* family : Families()) {
    const bool of_candidate =
        std::ranges::find(candidates, family, &Candidate::family) != candidates.end();
    if (of_candidate || family->name == Verifier::kReference) needed.push_back(family);
  }
  return needed;
}

}  // namespace

std::map<std::string_view, Environment> EnvironmentsOf(std::string_view driver,
                                                       std::string_view nvrtc,
                                                       std::string_view policy) {
  std::map<std::string_view, Environment> environments;
  for (const Family* family : Families()) {
    environments[family->name] = {.driver = std::string(driver),
                                  .nvrtc = std::string(nvrtc),
                                  .kernel_fingerprint = FamilyFingerprint(*family),
                                  .policy = std::string(policy)};
  }
  return environments;
}

Trial CompiledTrial(const Evaluator& evaluator, const Problem& problem, const Candidate& candidate,
                    Effort effort, uint64_t seed, const CompileResult& compiled) {
  return {.measurement = {.problem = problem,
                          .device = evaluator.device(),
                          .environment = evaluator.EnvironmentOf(*candidate.family),
                          .family = std::string(candidate.family->name),
                          .config = candidate.config,
                          .effort = effort,
                          .outcome = compiled.outcome,
                          .error = compiled.error,
                          .compile_ms = compiled.compile_ms,
                          .cubin_sha256 = compiled.cubin_sha256,
                          .seed = seed,
                          .measured_at = NowUs()},
          .facts = compiled.facts};
}

absl::StatusOr<std::unique_ptr<WorkerEvaluator>> WorkerEvaluator::Start(WorkerOptions options) {
  std::unique_ptr<WorkerEvaluator> evaluator(new WorkerEvaluator(std::move(options)));
  const WorkerOptions& given = evaluator->options_;
  evaluator->started_ = absl::Now();
  RETURN_IF_ERROR(evaluator->StartChild());
  const WorkerHello& hello = evaluator->hello_ = evaluator->child_->hello();
  evaluator->environments_ = EnvironmentsOf(hello.driver, hello.nvrtc, hello.policy);
  evaluator->arch_ = ArchName(hello.device.compute_capability);
  evaluator->pool_ = given.pool;
  if (evaluator->pool_ == nullptr) {
    ASSIGN_OR_RETURN(evaluator->pool_, CompilePool::Start({.worker = given.worker,
                                                           .cubin_folder = given.cubin_folder,
                                                           .processes = given.compile_processes,
                                                           .limit = given.compile_limit}));
  }
  evaluator->usage_.starting = absl::Now() - evaluator->started_;
  return evaluator;
}

absl::Status WorkerEvaluator::StartChild() {
  ASSIGN_OR_RETURN(child_, WorkerClient::Start(options_.worker,
                                               {.cubin_folder = options_.cubin_folder,
                                                .device = options_.device,
                                                .seed = options_.seed,
                                                .histograms = options_.histograms,
                                                .as_peers = options_.as_peers},
                                               kStartLimit));
  return absl::OkStatus();
}

// Of each family that is needed, the config that the model likes best: a base, unless it fails.
std::vector<Candidate> WorkerEvaluator::LikelyBases(const Problem& problem,
                                                    std::span<const Candidate> candidates) const {
  std::vector<Candidate> bases;
  for (const Family* family : FamiliesNeeded(candidates)) {
    const auto best = std::ranges::find(Ranked(problem), family, &Candidate::family);
    if (best != Ranked(problem).end()) bases.push_back(*best);
  }
  return bases;
}

void WorkerEvaluator::Prepare(const Problem& problem, std::span<const Candidate> candidates) {
  for (const Candidate& base : LikelyBases(problem, candidates)) {
    pool_->Submit(problem, base, arch_);
  }
  for (const Candidate& candidate : candidates) pool_->Submit(problem, candidate, arch_);
}

void WorkerEvaluator::Foresee(const Problem& problem, std::span<const Candidate> candidates) {
  for (const Candidate& base : LikelyBases(problem, candidates)) {
    pool_->SubmitSpare(problem, base, arch_);
  }
  for (const Candidate& candidate : candidates) pool_->SubmitSpare(problem, candidate, arch_);
}

size_t WorkerEvaluator::WaitForAny(const Problem& problem, std::span<const Candidate> candidates) {
  const absl::Time start = absl::Now();
  const size_t place = pool_->WaitForAny(problem, candidates, arch_);
  usage_.waiting_for_compiles += absl::Now() - start;
  return place;
}

WorkerEvaluator::Usage WorkerEvaluator::usage() const {
  Usage usage = usage_;
  usage.total = absl::Now() - started_;
  return usage;
}

absl::StatusOr<std::vector<Trial>> WorkerEvaluator::Measure(const Problem& problem,
                                                            std::span<const Candidate> candidates,
                                                            Effort effort) {
  const absl::Time start = absl::Now();
  std::vector<Trial> trials;
  std::vector<bool> done;
  for (const Candidate& candidate : candidates) {
    ASSIGN_OR_RETURN(const CompileResult compiled, pool_->Wait(problem, candidate, arch_));
    trials.push_back(CompiledTrial(*this, problem, candidate, effort, options_.seed, compiled));
    done.push_back(compiled.outcome != Outcome::kOk);
    if (done.back()) failed_.insert(KernelName(problem.shape, candidate));
  }
  ASSIGN_OR_RETURN(const std::vector<Candidate> bases, FindBases(problem, candidates));
  usage_.waiting_for_compiles += absl::Now() - start;

  int fruitless = 0;
  while (std::find(done.begin(), done.end(), false) != done.end()) {
    Request request = {
        .problem = problem, .bases = bases, .effort = effort, .trials = trials, .done = done};
    std::erase_if(request.bases, [&](const Candidate& base) {
      return failed_.contains(KernelName(problem.shape, base));
    });
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (done[i]) continue;
      request.candidates.push_back(candidates[i]);
      request.places.push_back(i);
    }
    const absl::Time begin = absl::Now();
    const absl::StatusOr<bool> learnt = Serve(request);
    usage_.measuring += absl::Now() - begin;
    // A child that finds the problem too large goes on, and would find it so again.
    const bool too_large = absl::IsResourceExhausted(learnt.status()) && child_;
    if (learnt.ok() && *learnt) {
      fruitless = 0;
      sets_up_ = true;
    } else if (too_large || absl::IsInvalidArgument(learnt.status())) {
      return learnt.status();
    } else if (++fruitless == kMaxFruitless) {
      // Of one problem it says that this one takes too long, of two in a row that none is set up.
      if (absl::IsResourceExhausted(learnt.status()) && !std::exchange(sets_up_, false)) {
        return absl::DeadlineExceededError(learnt.status().message());
      }
      return learnt.status();
    }
  }
  return trials;
}

// Of each family that is needed, the config that the model likes best of those that have not
// failed.
absl::StatusOr<std::vector<Candidate>> WorkerEvaluator::FindBases(
    const Problem& problem, std::span<const Candidate> candidates) {
  std::vector<Candidate> bases;
  for (const Family* family : FamiliesNeeded(candidates)) {
    for (const Candidate& base : Ranked(problem)) {
      if (base.family != family || failed_.contains(KernelName(problem.shape, base))) continue;
      ASSIGN_OR_RETURN(const CompileResult compiled, pool_->Wait(problem, base, arch_));
      if (compiled.outcome == Outcome::kOk) {
        bases.push_back(base);
        break;
      }
      failed_.insert(KernelName(problem.shape, base));
    }
  }
  // Others are verified against the reference.
  std::stable_partition(bases.begin(), bases.end(), [](const Candidate& base) {
    return base.family->name == Verifier::kReference;
  });
  return bases;
}

// Sends the request to the child and follows it to its end, or to the child's. True when something
// was learnt: a trial, or that a base is no good. An error says why not.
absl::StatusOr<bool> WorkerEvaluator::Serve(Request& request) {
  if (!child_) {
    ++usage_.restarts;
    RETURN_IF_ERROR(StartChild());
  }
  const auto open = std::count(request.done.begin(), request.done.end(), false);
  Step step;
  absl::Status status =
      child_->StartMeasure(request.problem, request.candidates, request.effort, request.bases);
  if (status.ok()) status = Follow(request, step);
  if (!status.ok() && !absl::IsResourceExhausted(status)) {
    child_.reset();
    if (Blame(request, step, status)) return true;
    if (absl::IsDeadlineExceeded(status) && step.stage == Step::kSetUp) {
      return absl::ResourceExhaustedError(absl::StrFormat("%s: setting it up took longer than %s",
                                                          ProblemKey(request.problem),
                                                          absl::FormatDuration(options_.watchdog)));
    }
  }
  if (std::count(request.done.begin(), request.done.end(), false) < open) return true;
  return status.ok() ? absl::InternalError("a worker did not measure what it was asked for")
                     : status;
}

absl::Status WorkerEvaluator::Follow(Request& request, Step& step) {
  while (true) {
    ASSIGN_OR_RETURN(WorkerClient::Event event, child_->NextEvent(absl::Now() + options_.watchdog));
    if (const auto* next = std::get_if<Step>(&event)) {
      step = *next;
    } else if (auto* measured = std::get_if<WorkerClient::Measured>(&event)) {
      if (measured->candidate >= request.candidates.size()) {
        return absl::InternalError("a worker measured what it was not asked for");
      }
      Finish(request, measured->candidate, std::move(measured->trial));
    } else {
      return std::get<absl::Status>(event);
    }
  }
}

// Completes a trial by what the child measured.
void WorkerEvaluator::Finish(Request& request, size_t candidate, Trial measured) {
  const size_t place = request.places[candidate];
  Trial& trial = request.trials[place];
  const Measurement& from = measured.measurement;
  Measurement& to = trial.measurement;
  to.outcome = from.outcome;
  to.error = from.error;
  to.effort = from.effort;
  to.time_us = from.time_us;
  to.time_us_mad = from.time_us_mad;
  to.samples = from.samples;
  to.clocks = from.clocks;
  to.measured_at = from.measured_at;
  to.hot_us = from.hot_us;
  to.sm_clock_mhz = from.sm_clock_mhz;
  to.unsteady_rounds = from.unsteady_rounds;
  to.routing_us = from.routing_us;
  trial.samples_us = std::move(measured.samples_us);
  if (from.outcome == Outcome::kOk) {
    trial.facts = measured.facts;
  } else {
    failed_.insert(KernelName(request.problem.shape, request.candidates[candidate]));
  }
  request.done[place] = true;
}

// Puts the end of the child down to what it was at. False when nobody is to blame.
bool WorkerEvaluator::Blame(Request& request, Step step, const absl::Status& end) {
  Trial failure;
  Measurement& m = failure.measurement;
  m.effort = request.effort;
  m.measured_at = NowUs();
  m.error = std::string(end.message());
  if (absl::IsDeadlineExceeded(end)) {
    m.outcome = Outcome::kTimeout;
    m.error = absl::StrFormat("no sign of life for %s, and was ended",
                              absl::FormatDuration(options_.watchdog));
  } else if (absl::IsUnavailable(end)) {
    m.outcome = Outcome::kCrash;
  } else if (absl::IsAborted(end)) {
    m.outcome = Outcome::kFault;
  } else {
    return false;
  }
  if (step.stage == Step::kBase && step.index < request.bases.size()) {
    failed_.insert(KernelName(request.problem.shape, request.bases[step.index]));
    return true;
  }
  if (step.stage != Step::kCandidate || step.index >= request.candidates.size()) return false;
  if (request.done[request.places[step.index]]) return false;  // it had ended well before
  Finish(request, step.index, std::move(failure));
  return true;
}

}  // namespace moetune
