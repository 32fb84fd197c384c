#include "tuner/sweep_history.h"

#include <algorithm>
#include <cmath>

#include "db/nearest.h"
#include "kernels/registry.h"

namespace moetune {
namespace {

// The family of a row. Null: rows of a family that is no more, and of other devices and
// environments, are of no use here.
template <typename Row>
const Family* FamilyHere(const Row& row, const Evaluator& evaluator) {
  const absl::StatusOr<const Family*> family = FindFamily(row.family);
  const bool here = family.ok() && row.device.name == evaluator.device().name &&
                    row.environment == evaluator.EnvironmentOf(**family);
  return here ? *family : nullptr;
}

}  // namespace

SweepHistory::Kind SweepHistory::KindOf(const Shape& shape, const Candidate& candidate) {
  return {shape.op,        shape.dtype, shape.output, shape.fusions, candidate.family->name,
          candidate.config};
}

SweepHistory::Kind SweepHistory::KernelOf(const Shape& shape, const Candidate& candidate) {
  const Family& family = *candidate.family;
  return KindOf(shape, {&family, CompiledPart(family, candidate.config)});
}

SweepHistory::SweepHistory(std::span<const Record> records, const Evaluator& evaluator) {
  MutexLock lock(mutex_);
  for (const Record& record : records) {
    if (const auto* measurement = std::get_if<Measurement>(&record.row)) {
      const Family* family = FamilyHere(*measurement, evaluator);
      if (family == nullptr) continue;
      Note(*measurement, *family, record.sequence);
      first_sequence_.try_emplace(measurement->problem, record.sequence);
      last_sequence_[measurement->problem] = record.sequence;
    } else if (const auto* winner = std::get_if<Winner>(&record.row)) {
      past_winners_.push_back({*winner, record.sequence});
      if (FamilyHere(*winner, evaluator) == nullptr) continue;
      winners_[winner->problem] = {*winner, record.sequence};
    }
  }
}

void SweepHistory::Add(const Measurement& measurement) {
  const absl::StatusOr<const Family*> family = FindFamily(measurement.family);
  if (!family.ok()) return;
  MutexLock lock(mutex_);
  Note(measurement, **family, kThisRun);
}

void SweepHistory::Note(const Measurement& m, const Family& family, int64_t sequence) {
  KnownTrial& known = trials_[{m.problem, family.name, m.config}];
  const Candidate candidate = {&family, m.config};
  const Kind kind = KindOf(m.problem.shape, candidate);
  compiled_.try_emplace(KernelOf(m.problem.shape, candidate), Compiled{m.problem, sequence});
  if (m.outcome != Outcome::kOk) {
    known = {.measurement = m};
    failed_.insert(kind);
    return;
  }
  failed_.erase(kind);
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
  return failed_.contains(KindOf(shape, candidate));
}

bool SweepHistory::FailedElsewhere(const Problem& problem, const Candidate& candidate) const {
  return Failed(problem.shape, candidate) && Find(problem, candidate) == nullptr;
}

const KnownTrial* SweepHistory::Find(const Problem& problem, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  const auto found = trials_.find({problem, candidate.family->name, candidate.config});
  // A later look without the first says nothing of how it compares with others.
  const bool known = found != trials_.end() && !found->second.measurement.family.empty();
  return known ? &found->second : nullptr;
}

const Winner* SweepHistory::StandingWinner(const Problem& problem) const {
  const auto found = winners_.find(problem);
  if (found == winners_.end()) return nullptr;
  const auto last = last_sequence_.find(problem);
  if (last != last_sequence_.end() && last->second > found->second.sequence) return nullptr;
  const Winner& winner = found->second.winner;
  const absl::StatusOr<const Family*> family = FindFamily(winner.family);
  return family.ok() && !Failed(problem.shape, {*family, winner.config}) ? &winner : nullptr;
}

bool SweepHistory::IsBefore(const Problem& problem, int64_t sequence) const {
  const auto first = first_sequence_.find(problem);
  return first == first_sequence_.end() || sequence < first->second;
}

void SweepHistory::Expect(const Shape& shape, const Candidate& candidate) {
  MutexLock lock(mutex_);
  expected_.insert(KernelOf(shape, candidate));
}

bool SweepHistory::Knows(const Shape& shape, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  const Kind kernel = KernelOf(shape, candidate);
  return compiled_.contains(kernel) || expected_.contains(kernel);
}

bool SweepHistory::CompiledBefore(const Problem& problem, const Candidate& candidate) const {
  MutexLock lock(mutex_);
  const auto found = compiled_.find(KernelOf(problem.shape, candidate));
  if (found == compiled_.end()) return false;
  const auto& [first, sequence] = found->second;
  return first != problem && IsBefore(problem, sequence);
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
