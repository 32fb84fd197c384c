#include "tests/testing/fake_evaluator.h"

#include <algorithm>

#include "kernels/status_macros.h"
#include "tests/testing/eventually.h"
#include "tuner/routing.h"
#include "tuner/statistics.h"

namespace moetune {

std::vector<Candidate> FakeEvaluator::Measured(Effort effort) const {
  std::vector<Candidate> measured;
  for (const Call& call : calls) {
    if (call.effort != effort) continue;
    measured.insert(measured.end(), call.candidates.begin(), call.candidates.end());
  }
  return measured;
}

Environment FakeEvaluator::EnvironmentOf(const Family& family) const {
  return {.driver = driver,
          .nvrtc = "13.0",
          .kernel_fingerprint = std::string(family.name) + "-1",
          .policy = estimates ? "estimate" : "fake"};
}

void FakeEvaluator::Prepare(const Problem&, std::span<const Candidate> candidates) {
  prepared.insert(prepared.end(), candidates.begin(), candidates.end());
}

void FakeEvaluator::Foresee(const Problem& problem, std::span<const Candidate> candidates) {
  MutexLock lock(mutex_);
  std::vector<Candidate>& of_problem = foreseen_[ProblemKey(problem)];
  for (const Candidate& candidate : candidates) {
    if (std::ranges::find(of_problem, candidate) == of_problem.end()) {
      of_problem.push_back(candidate);
    }
  }
}

size_t FakeEvaluator::WaitForAny(const Problem&, std::span<const Candidate> candidates) {
  return compiled_first ? compiled_first(candidates) : 0;
}

std::vector<Candidate> FakeEvaluator::AwaitForeseen(const Problem& problem, size_t count) const {
  std::vector<Candidate> foreseen;
  const bool came = Eventually([&] {
    MutexLock lock(mutex_);
    const auto found = foreseen_.find(ProblemKey(problem));
    if (found != foreseen_.end()) foreseen = found->second;
    return foreseen.size() >= count;
  });
  return came ? foreseen : std::vector<Candidate>();
}

absl::StatusOr<std::vector<Trial>> FakeEvaluator::Measure(const Problem& problem,
                                                          std::span<const Candidate> candidates,
                                                          Effort effort) {
  calls.push_back({problem, {candidates.begin(), candidates.end()}, effort});
  if (failure) RETURN_IF_ERROR(failure(problem, effort));
  std::vector<Trial> trials;
  for (const Candidate& candidate : candidates) {
    Trial trial;
    trial.facts.registers = registers;
    Measurement& m = trial.measurement;
    m.problem = problem;
    m.device = spec;
    m.environment = EnvironmentOf(*candidate.family);
    m.family = candidate.family->name;
    m.config = candidate.config;
    m.effort = estimates ? Effort::kEstimate : effort;
    m.outcome = outcome ? outcome(problem, candidate) : Outcome::kOk;
    m.cubin_sha256 = std::string(64, 'c');
    m.measured_at = NowUs();
    if (m.outcome == Outcome::kOk) {
      const int rounds = effort == Effort::kFinal ? 25 : 3;
      std::vector<double> times;
      for (const Problem& each : EachRouting(problem)) {
        times.push_back(time_us ? time_us(each, candidate)
                                : static_cast<double>(candidate.config.Get("block_m")));
        for (int i = 0; i < rounds; ++i) {
          // Rounds are noisy together, as on a card whose clock moves.
          const double noise = scatter * static_cast<double>(i * 7 % rounds - rounds / 2) / rounds;
          trial.samples_us.push_back(times.back() * (1 + noise));
        }
      }
      m.time_us = GeometricMean(times);
      if (effort == Effort::kFinal && hot_us) m.hot_us = hot_us(candidate);
      if (effort == Effort::kFinal && times.size() > 1) m.routing_us = times;
      m.samples = static_cast<int>(trial.samples_us.size());
    } else {
      m.error = "as the test says";
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

}  // namespace moetune
