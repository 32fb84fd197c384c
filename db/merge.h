// Merge: the records of other logs in one.
#ifndef MOETUNE_DB_MERGE_H_
#define MOETUNE_DB_MERGE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "db/store.h"

namespace moetune {

// Appends the records that `store` lacks, by UUID, in the order of their times, all or none, and
// returns how many. Since of the winners of one problem the last one appended stands, a winner that
// is older than the one that stands in `store` is left out: a merge never brings back what was
// superseded, nor what another writer supersedes meanwhile. Doing it again adds nothing.
absl::StatusOr<int> Merge(std::vector<Record> records, Store& store);

}  // namespace moetune

#endif  // MOETUNE_DB_MERGE_H_
