#include "tuner/sweep_history.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "absl/strings/str_format.h"
#include "db/nearest.h"
#include "kernels/registry.h"
#include "tuner/kernel_name.h"

namespace moetune {
namespace {

std::string TrialName(const Problem& problem, std::string_view family, const Config& config) {
  return absl::StrFormat("%s %s %s", ProblemKey(problem), family, config.Text());
}

// Rows of a family that is no more, and of other devices and environments, are of no use here.
template <typename Row>
bool IsOfHere(const Row& row, const Evaluator& evaluator) {
  const absl::StatusOr<const Family*> family = FindFamily(row.family);
  return family.ok() && row.device.name == evaluator.device().name &&
         row.environment == evaluator.EnvironmentOf(**family);
}

}  // namespace

SweepHistory::SweepHistory(std::span<const Record> records, const Evaluator& evaluator) {
  MutexLock lock(mutex_);
  for (const Record& record : records) {
    if (const auto* measurement = std::get_if<Measurement>(&record.row)) {
      if (!IsOfHere(*measurement, evaluator)) continue;
      Note(*measurement, record.sequence);
      const std::string key = ProblemKey(measurement->problem);
      first_sequence_.try_emplace(key, record.sequence);
      last_sequence_[key] = record.sequence;
    } else if (const auto* winner = std::get_if<Winner>(&record.row)) {
      past_winners_.push_back({*winner, record.sequence});
      if (!IsOfHere(*winner, evaluator)) continue;
      winners_[ProblemKey(winner->problem)] = {*winner, record.sequence};
    }
  }
}

void SweepHistory::Add(const Measurement& measurement) {
  MutexLock lock(mutex_);
  Note(measurement, kThisRun);
}

void SweepHistory::Note(const Measurement& m, int64_t sequence) {
  KnownTrial& known = trials_[TrialName(m.problem, m.family, m.config)];
  const std::string kernel = KernelName(m.problem.shape, m.family, m.config);
  compiled_.try_emplace(kernel, sequence);
  if (m.outcome != Outcome::kOk) {
    known = {.measurement = m};
    failed_.insert(kernel);
    return;
  }
  failed_.erase(kernel);
  if (m.effort == Effort::kShort) {
    known.short_us = m.time_us;
  } else if (m.effort != Effort::kFinal) {
    known.measurement = m;
  }
}

void SweepHistory::Add(const Winner& winner) {
  MutexLock lock(mutex_);
  past_winners_.push_back({winner, kThisRun});
}

bool SweepHistory::Failed(const Shape& shape, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  return failed_.contains(KernelName(shape, candidate.family->name, candidate.config));
}

bool SweepHistory::FailedElsewhere(const Problem& problem, const Candidate& candidate) const {
  return Failed(problem.shape, candidate) && Find(problem, candidate) == nullptr;
}

const KnownTrial* SweepHistory::Find(const Problem& problem, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  const auto found = trials_.find(TrialName(problem, candidate.family->name, candidate.config));
  // A later look without the first says nothing of how it compares with others.
  const bool known = found != trials_.end() && !found->second.measurement.family.empty();
  return known ? &found->second : nullptr;
}

const Winner* SweepHistory::StandingWinner(const Problem& problem) const {
  const std::string key = ProblemKey(problem);
  const auto found = winners_.find(key);
  if (found == winners_.end()) return nullptr;
  const auto last = last_sequence_.find(key);
  if (last != last_sequence_.end() && last->second > found->second.sequence) return nullptr;
  const Winner& winner = found->second.winner;
  MutexLock lock(mutex_);
  if (failed_.contains(KernelName(problem.shape, winner.family, winner.config))) return nullptr;
  return &winner;
}

bool SweepHistory::IsBefore(const Problem& problem, int64_t sequence) const {
  const auto first = first_sequence_.find(ProblemKey(problem));
  return first == first_sequence_.end() || sequence < first->second;
}

void SweepHistory::Expect(const Shape& shape, const Candidate& candidate) {
  MutexLock lock(mutex_);
  expected_.insert(KernelName(shape, candidate.family->name, candidate.config));
}

bool SweepHistory::Knows(const Shape& shape, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  const std::string kernel = KernelName(shape, candidate.family->name, candidate.config);
  return compiled_.contains(kernel) || expected_.contains(kernel);
}

bool SweepHistory::CompiledBefore(const Problem& problem, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  const auto found =
      compiled_.find(KernelName(problem.shape, candidate.family->name, candidate.config));
  return found != compiled_.end() && IsBefore(problem, found->second);
}

std::vector<Candidate> SweepHistory::WinnersNear(const Problem& problem, size_t count) const {
  MutexLock lock(mutex_);
  std::vector<std::pair<double, const Winner*>> near;
  for (const auto& [winner, sequence] : past_winners_) {
    const double distance = ProblemDistance(problem, winner.problem);
    if (winner.estimated || !std::isfinite(distance) || !IsBefore(problem, sequence)) continue;
    near.emplace_back(distance, &winner);
  }
  std::ranges::reverse(near);  // of equally near ones the newest
  std::ranges::stable_sort(near, {}, &std::pair<double, const Winner*>::first);
  std::vector<Candidate> candidates;
  for (const auto& [distance, winner] : near) {
    if (candidates.size() == count) break;
    const absl::StatusOr<const Family*> family = FindFamily(winner->family);
    if (!family.ok()) continue;
    Candidate candidate = {*family, winner->config};
    if (std::ranges::find(candidates, candidate) == candidates.end()) {
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

}  // namespace moetune
