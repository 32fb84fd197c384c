#include "db/snapshot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "db/curve.h"
#include "db/default_winners.h"
#include "db/nearest.h"
#include "kernels/names.h"
#include "kernels/registry.h"
#include "kernels/space.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

constexpr std::array<std::string_view, 6> kTierNames = {"exact",   "bucket",    "neighbour",
                                                        "sibling", "estimated", "default"};

struct CurveKey {
  size_t device;
  Shape shape;

  bool operator==(const CurveKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const CurveKey& key) {
    return H::combine(std::move(h), key.device, key.shape);
  }
};

}  // namespace

struct Snapshot::Index {
  std::string database_id;
  int64_t last_sequence = 0;
  std::vector<DeviceSpec> devices;  // as the newest winner describes them
  absl::flat_hash_map<std::string, size_t> device_by_name;
  absl::flat_hash_map<CurveKey, std::shared_ptr<const Curve>> curves;
  // No row changes them: they are shared with the snapshots folded from this one.
  std::shared_ptr<DefaultWinners> defaults = std::make_shared<DefaultWinners>();

  static constexpr size_t kNoDevice = std::numeric_limits<size_t>::max();

  size_t DeviceOf(const std::string& name) const {
    const auto at = device_by_name.find(name);
    return at == device_by_name.end() ? kNoDevice : at->second;
  }

  const Curve* CurveOf(size_t device, const Shape& shape) const {
    const auto at = curves.find({device, shape});
    return at == curves.end() ? nullptr : at->second.get();
  }

  size_t AddDevice(const DeviceSpec& device) {
    const auto [at, added] = device_by_name.try_emplace(device.name, devices.size());
    if (added) {
      devices.push_back(device);
    } else {
      devices[at->second] = device;
    }
    return at->second;
  }

  // The winner of another shape, measured on `from`, that beat its default and is nearest among
  // those legal on `device`. Ties go to the routing asked for, then to the lexically first key.
  Match Neighbour(const Problem& asked, size_t from, const DeviceSpec& device) const {
    constexpr double kReach = 2;  // log2 units; further off the default is the better guess
    Match best;
    const auto before = [&](const Entry& a, const Entry& b) {
      const Problem& p = a.winner->problem;
      const Problem& q = b.winner->problem;
      return std::tuple(p.routing != asked.routing, ProblemKey(p)) <
             std::tuple(q.routing != asked.routing, ProblemKey(q));
    };
    for (const auto& [key, curve] : curves) {
      if (key.device != from || key.shape == asked.shape) continue;
      const double at_least = ShapeDistance(key.shape, asked.shape);
      if (std::isinf(at_least) || (best && at_least > best.distance)) continue;
      for (const Entry& entry : curve->measured.entries()) {
        const Winner& winner = *entry.winner;
        const double distance = ProblemDistance(winner.problem, asked);
        if (best && (distance > best.distance ||
                     (distance == best.distance && !before(entry, *best.entry)))) {
          continue;
        }
        if (distance <= kReach && winner.Speedup() > 1 &&
            IsLegal(*entry.family, asked, winner.config, device)) {
          best = {&entry, distance};
        }
      }
    }
    return best;
  }

  // The best of other devices of the same compute capability, the nearest SM count first.
  Match Sibling(const Problem& asked, size_t own, const DeviceSpec& device) const {
    std::vector<size_t> siblings;
    for (size_t i = 0; i < devices.size(); ++i) {
      if (i != own && devices[i].compute_capability == device.compute_capability) {
        siblings.push_back(i);
      }
    }
    std::ranges::sort(siblings, {}, [&](size_t i) {
      return std::tuple(std::abs(devices[i].sm_count - device.sm_count), devices[i].name);
    });
    const auto apart = [&](Match match, size_t i) {
      const double sms =
          LogDistance(std::max(1, devices[i].sm_count), std::max(1, device.sm_count));
      return Match{match.entry, std::sqrt(match.distance * match.distance + sms * sms)};
    };
    for (const size_t i : siblings) {
      const Curve* curve = CurveOf(i, asked.shape);
      if (curve == nullptr) continue;
      if (const Match bucket = curve->measured.Bucket(asked, device)) return apart(bucket, i);
    }
    for (const size_t i : siblings) {
      if (const Match neighbour = Neighbour(asked, i, device)) return apart(neighbour, i);
    }
    return {};
  }
};

Snapshot::Snapshot() : index_(std::make_unique<Index>()) {}
Snapshot::~Snapshot() = default;

std::shared_ptr<const Snapshot> Snapshot::Fold(std::shared_ptr<const Snapshot> base,
                                               ScanResult scan) {
  const bool goes_on = base != nullptr && base->index_->database_id == scan.database_id;
  if (goes_on && base->last_sequence() == scan.last_sequence) return base;
  auto index = goes_on ? std::make_unique<Index>(*base->index_) : std::make_unique<Index>();
  // The curves that get new rows; all others are shared with `base`.
  absl::flat_hash_map<CurveKey, std::shared_ptr<Curve>> open;
  for (Record& record : scan.records) {
    auto* row = std::get_if<Winner>(&record.row);
    if (row == nullptr || record.sequence <= index->last_sequence) continue;
    auto winner = std::make_shared<const Winner>(std::move(*row));
    const CurveKey key{index->AddDevice(winner->device), winner->problem.shape};
    std::shared_ptr<Curve>& curve = open[key];
    if (curve == nullptr) {
      const Curve* known = index->CurveOf(key.device, key.shape);
      curve = known == nullptr ? std::make_shared<Curve>() : std::make_shared<Curve>(*known);
    }
    curve->history.push_back({record.sequence, std::move(record.uuid), std::move(winner)});
  }
  for (auto& [key, curve] : open) {
    Rebuild(*curve);
    index->curves[key] = std::move(curve);
  }
  index->database_id = std::move(scan.database_id);
  index->last_sequence = scan.last_sequence;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->index_ = std::move(index);
  return snapshot;
}

absl::StatusOr<Choice> Snapshot::Lookup(const Problem& problem, const DeviceSpec& device) const {
  const auto choice = [](Tier tier, const Match& match) {
    return Choice{tier, match.distance, match.entry->winner};
  };
  const size_t own = index_->DeviceOf(device.name);
  const Curve* curve = index_->CurveOf(own, problem.shape);
  if (curve != nullptr) {
    if (const Match match = curve->measured.Exact(problem)) return choice(Tier::kExact, match);
  }
  RETURN_IF_ERROR(ValidateProblem(problem));
  if (curve != nullptr) {
    if (const Match match = curve->measured.Bucket(problem, device)) {
      return choice(Tier::kBucket, match);
    }
  }
  if (own != Index::kNoDevice) {
    if (const Match match = index_->Neighbour(problem, own, device)) {
      return choice(Tier::kNeighbour, match);
    }
  }
  if (const Match match = index_->Sibling(problem, own, device)) {
    return choice(Tier::kSibling, match);
  }
  if (curve != nullptr) {
    if (const Match match = curve->estimated.Bucket(problem, device)) {
      return choice(Tier::kEstimated, match);
    }
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const Winner> winner, index_->defaults->Of(problem, device));
  return Choice{.winner = std::move(winner)};
}

std::vector<std::shared_ptr<const Winner>> Snapshot::Winners() const {
  using Key = std::tuple<std::string_view, std::string, bool>;
  std::vector<std::pair<Key, std::shared_ptr<const Winner>>> keyed;
  for (const auto& [key, curve] : index_->curves) {
    for (const std::shared_ptr<const Winner>& winner : curve->standing) {
      keyed.emplace_back(Key(winner->device.name, ProblemKey(winner->problem), winner->estimated),
                         winner);
    }
  }
  std::ranges::sort(keyed, {}, &decltype(keyed)::value_type::first);
  std::vector<std::shared_ptr<const Winner>> winners;
  winners.reserve(keyed.size());
  for (auto& [key, winner] : keyed) winners.push_back(std::move(winner));
  return winners;
}

std::vector<WinnerRow> Snapshot::History(const Problem& problem) const {
  std::vector<WinnerRow> rows;
  for (size_t device = 0; device < index_->devices.size(); ++device) {
    const Curve* curve = index_->CurveOf(device, problem.shape);
    if (curve == nullptr) continue;
    std::ranges::copy_if(curve->history, std::back_inserter(rows),
                         [&](const WinnerRow& row) { return row.winner->problem == problem; });
  }
  std::ranges::sort(rows, std::greater(), &WinnerRow::sequence);
  return rows;
}

std::vector<DeviceSpec> Snapshot::Devices() const {
  std::vector<DeviceSpec> devices = index_->devices;
  std::ranges::sort(devices, {}, &DeviceSpec::name);
  return devices;
}

std::string Snapshot::Token() const {
  return absl::StrFormat("%s:%d", index_->database_id, index_->last_sequence);
}

int64_t Snapshot::last_sequence() const { return index_->last_sequence; }

std::string_view TierName(Tier tier) { return kTierNames[static_cast<size_t>(tier)]; }

absl::StatusOr<Tier> ParseTier(std::string_view text) {
  const auto at = std::ranges::find(kTierNames, text);
  if (at != kTierNames.end()) return static_cast<Tier>(at - kTierNames.begin());
  return UnknownName("tier", text,
                     std::vector<std::string_view>(kTierNames.begin(), kTierNames.end()));
}

std::vector<std::string> StaleReasons(const Winner& winner, const Environment& now) {
  std::vector<std::string> reasons;
  const auto compare = [&](std::string_view what, const std::string& current,
                           const std::string& measured) {
    if (current.empty() || measured.empty() || current == measured) return;
    reasons.push_back(absl::StrFormat("%s %s, measured under %s", what, current, measured));
  };
  const Environment& then = winner.environment;
  compare("driver", now.driver, then.driver);
  compare("NVRTC", now.nvrtc, then.nvrtc);
  if (!now.kernel_fingerprint.empty() && !then.kernel_fingerprint.empty() &&
      now.kernel_fingerprint != then.kernel_fingerprint) {
    reasons.push_back("the kernel's source has changed since it was measured");
  }
  compare("policy", now.policy, then.policy);
  return reasons;
}

}  // namespace moetune
