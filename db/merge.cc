#include "db/merge.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "db/snapshot.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

int64_t TimeOf(const Record& record) {
  if (const auto* sweep = std::get_if<Sweep>(&record.row)) return sweep->at;
  if (const auto* winner = std::get_if<Winner>(&record.row)) return winner->measured_at;
  return std::get<Measurement>(record.row).measured_at;
}

// Those that are older than the winner that stands.
void LeaveOutSuperseded(const Snapshot& snapshot, std::vector<Record>& records) {
  using Identity = std::tuple<std::string, Problem, bool>;
  absl::flat_hash_map<Identity, int64_t> standing_since;
  for (const std::shared_ptr<const Winner>& winner : snapshot.Winners()) {
    standing_since[{winner->device.name, winner->problem, winner->estimated}] = winner->measured_at;
  }
  std::erase_if(records, [&](const Record& record) {
    const auto* winner = std::get_if<Winner>(&record.row);
    if (winner == nullptr) return false;
    const auto at = standing_since.find({winner->device.name, winner->problem, winner->estimated});
    return at != standing_since.end() && winner->measured_at < at->second;
  });
}

}  // namespace

absl::StatusOr<int> Merge(std::vector<Record> records, Store& store) {
  std::ranges::stable_sort(records, {}, TimeOf);
  auto snapshot = std::make_shared<const Snapshot>();
  while (true) {
    ASSIGN_OR_RETURN(ScanResult scan, store.Scan(snapshot->last_sequence(), kWinners));
    snapshot = Snapshot::Fold(std::move(snapshot), std::move(scan));
    LeaveOutSuperseded(*snapshot, records);
    absl::StatusOr<int> added = store.Append(records, snapshot->last_sequence());
    // Another writer came in between with a winner, perhaps a newer one: look again.
    if (!absl::IsAborted(added.status())) return added;
  }
}

}  // namespace moetune
