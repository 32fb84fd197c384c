#include "db/curve.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "db/nearest.h"
#include "kernels/registry.h"
#include "kernels/space.h"

namespace moetune {

namespace {

// How far a winner speaks for other row counts, in log2 units: between two of them, and beyond the
// last. The default is seldom more than a tenth off; a winner of 16 tokens took three times the
// default's time at 4096.
constexpr double kReachBetween = 2;
constexpr double kReachBeyond = 1;

}  // namespace

Axis::Axis(std::vector<Entry> entries) : entries_(std::move(entries)) {
  // Among equal rows and tokens the widest mix of routings stands first: it is what a look-up takes
  // when the routing it asked for was not tuned.
  std::ranges::sort(entries_, {}, [](const Entry& e) {
    const uint32_t kinds = e.routing.kinds;
    return std::tuple(e.winner->problem.rows, e.tokens, -std::popcount(kinds),
                      (kinds & kSoftmax) == 0, kinds, e.routing.counts_hash);
  });
  for (size_t i = 0; i < entries_.size(); ++i) {
    const int64_t rows = entries_[i].winner->problem.rows;
    if (!rows_.empty() && rows_.back() == rows) continue;
    rows_.push_back(rows);
    first_.push_back(i);
  }
  first_.push_back(entries_.size());
}

Match Axis::Exact(const Problem& asked) const {
  const auto at = std::ranges::lower_bound(rows_, asked.rows);
  if (at == rows_.end() || *at != asked.rows) return {};
  const Entry& entry = At(static_cast<size_t>(at - rows_.begin()), asked);
  if (entry.tokens != asked.tokens) return {};
  return {&entry};
}

Match Axis::Bucket(const Problem& asked, const DeviceSpec& device) const {
  if (rows_.empty()) return {};
  const bool between = rows_.front() <= asked.rows && asked.rows <= rows_.back();
  const size_t nearest = NearestLog(rows_, asked.rows);
  const double reach = between ? kReachBetween : kReachBeyond;
  const size_t other = rows_[nearest] < asked.rows ? nearest + 1 : nearest - 1;
  for (const size_t i : {nearest, other}) {
    if (i >= rows_.size()) continue;  // also below the first, where size_t wraps
    if (LogDistance(rows_[i], asked.rows) > reach) continue;
    const Entry& entry = At(i, asked);
    if (!IsLegal(*entry.family, asked, entry.winner->config, device)) continue;
    return {&entry, rows_[i] == asked.rows ? LogDistance(entry.tokens, asked.tokens)
                                           : LogDistance(rows_[i], asked.rows)};
  }
  return {};
}

// Of the entries with rows_[i], that of the nearest tokens and, there, of the routing asked for.
const Entry& Axis::At(size_t i, const Problem& asked) const {
  const Entry* best = &entries_[first_[i]];
  for (size_t j = first_[i] + 1; j < first_[i + 1]; ++j) {
    const Entry& entry = entries_[j];
    if (entry.tokens == best->tokens) {
      if (entry.routing == asked.routing) best = &entry;
    } else if (LogDistance(entry.tokens, asked.tokens) <= LogDistance(best->tokens, asked.tokens)) {
      best = &entry;
    }
  }
  return *best;
}

void Rebuild(Curve& curve) {
  absl::flat_hash_map<std::pair<Problem, bool>, std::shared_ptr<const Winner>> standing;
  for (const WinnerRow& row : curve.history) {
    standing[{row.winner->problem, row.winner->estimated}] = row.winner;
  }
  curve.standing.clear();
  std::vector<Entry> measured, estimated;
  for (const auto& [identity, winner] : standing) {
    curve.standing.push_back(winner);
    const absl::StatusOr<const Family*> family = FindFamily(winner->family);
    if (!family.ok() || !IsLegal(**family, winner->problem, winner->config, winner->device)) {
      continue;
    }
    (winner->estimated ? estimated : measured)
        .push_back({winner->problem.tokens, winner->problem.routing, *family, winner});
  }
  curve.measured = Axis(std::move(measured));
  curve.estimated = Axis(std::move(estimated));
}

}  // namespace moetune
