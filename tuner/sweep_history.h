// SweepHistory: what is known already of a sweep's candidates, from the store and from its own
// trials.
#ifndef MOETUNE_TUNER_SWEEP_HISTORY_H_
#define MOETUNE_TUNER_SWEEP_HISTORY_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "db/mutex.h"
#include "db/record.h"
#include "tuner/evaluator.h"

namespace moetune {

// The newest row of each effort counts. Seeds do not matter; device and environment do.
struct KnownTrial {
  Measurement measurement;         // the probe, estimate or failure
  std::optional<double> short_us;  // from the short list
};

// Thread-safe, for the threads of a sweep over several devices, as long as a problem's trials are
// all added by one of them.
class SweepHistory {
 public:
  // Keeps of `records`, in ascending order, what was measured on the evaluator's device in the
  // environment that it would measure in now.
  SweepHistory(std::span<const Record> records, const Evaluator& evaluator);

  // Of this run.
  void Add(const Measurement& measurement);
  void Add(const Winner& winner);

  // True when this candidate failed for the shape's op, dtypes and fusions, in whichever problem.
  bool Failed(const Shape& shape, const Candidate& candidate) const;

  // True when it failed in other problems alone.
  bool FailedElsewhere(const Problem& problem, const Candidate& candidate) const;

  const KnownTrial* Find(const Problem& problem, const Candidate& candidate) const;

  // The winner that was chosen when all trials of the problem known from the store had been made;
  // null when there is none, or it has failed since.
  const Winner* StandingWinner(const Problem& problem) const;

  // Says that the sweep will compile this kernel in any case.
  void Expect(const Shape& shape, const Candidate& candidate);

  // True when this kernel was tried, in whichever problem and with whichever config that shares it,
  // or is expected.
  bool Knows(const Shape& shape, const Candidate& candidate) const;

  // True when this kernel was compiled before the problem's first trial, so that it need not be
  // waited for. One that the problem itself compiled first was not, for another config that shares
  // it: a sweep that is resumed must say the same.
  bool CompiledBefore(const Problem& problem, const Candidate& candidate) const;

  // Up to `count` configs that won problems of the same op, dtypes and fusions, this one included,
  // the nearest problem's first: on whatever device, in whatever environment. Of a problem with
  // trials in the store only what was known before these, so that a search resumed begins alike.
  std::vector<Candidate> WinnersNear(const Problem& problem, size_t count) const;

 private:
  // A candidate for all problems of an op, dtypes and fusions, the same of what is compiled for it,
  // and one trial: a sweep asks for thousands between two trials, so these are no texts.
  using Kind = std::tuple<OpKind, Dtype, Dtype, Fusions, std::string_view, Config>;
  using TrialKey = std::tuple<Problem, std::string_view, Config>;
  static Kind KindOf(const Shape& shape, const Candidate& candidate);
  static Kind KernelOf(const Shape& shape, const Candidate& candidate);

  struct Chosen {
    Winner winner;
    int64_t sequence = 0;
  };
  // The first row of a kernel, and whose it was.
  struct Compiled {
    Problem problem;
    int64_t sequence = 0;
  };
  // Rows of this run come after all others.
  static constexpr int64_t kThisRun = std::numeric_limits<int64_t>::max();

  void Note(const Measurement& measurement, const Family& family, int64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a problem's first trial in the store; where it has none, everything came before it.
  bool IsBefore(const Problem& problem, int64_t sequence) const;

  // Of the store alone.
  absl::flat_hash_map<Problem, Chosen> winners_;
  absl::flat_hash_map<Problem, int64_t> last_sequence_;  // of a problem's trials
  absl::flat_hash_map<Problem, int64_t> first_sequence_;

  mutable Mutex mutex_;
  absl::node_hash_map<TrialKey, KnownTrial> trials_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<Kind> failed_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Kind, Compiled> compiled_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<Kind> expected_ ABSL_GUARDED_BY(mutex_);
  // Measured ones of all devices, the newest last.
  std::vector<Chosen> past_winners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_SWEEP_HISTORY_H_
