// Snapshots for tests.
#ifndef MOETUNE_TESTS_TESTING_SNAPSHOTS_H_
#define MOETUNE_TESTS_TESTING_SNAPSHOTS_H_

#include <memory>
#include <utility>
#include <vector>

#include "db/snapshot.h"

namespace moetune {

// Of a log with these winners in their order.
inline std::shared_ptr<const Snapshot> SnapshotOf(const std::vector<Winner>& winners) {
  ScanResult scan{.database_id = "5f0c1d2e-3a4b-4c5d-8e6f-7a8b9c0d1e2f"};
  for (const Winner& winner : winners) {
    Record record = NewRecord(winner);
    record.sequence = ++scan.last_sequence;
    scan.records.push_back(std::move(record));
  }
  return Snapshot::Fold(nullptr, std::move(scan));
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_SNAPSHOTS_H_
