// Resolve: from a problem to the best kernel that can be had for it here and now.
#ifndef MOETUNE_RUNTIME_RESOLVE_H_
#define MOETUNE_RUNTIME_RESOLVE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "runtime/config_source.h"
#include "runtime/kernel_pool.h"
#include "runtime/ready_table.h"

namespace moetune {

// The choice of `source` (null: none) when it is legal, compiles and loads; else the first
// candidate of FallbackOrder that does; else what `table` has loaded already. Where it is not the
// source's choice, `rejected` in the point says why. Where the look-up itself fails, a choice of
// the source's that stands in `table` at these rows is kept. An error when nothing runs. Takes as
// long as look-up and compiles take; the device's context is current.
absl::StatusOr<ReadyPoint> Resolve(const Problem& problem, const DeviceSpec& device,
                                   ConfigSource* source, KernelPool& pool, const ReadyTable& table);

// Every legal candidate for `problem` on `device` in the order to try them: the cost model's first
// choice, then the first of every other family, then the second of each, and so on, so that a
// family which does not work here costs one attempt a round. Empty where no family runs the
// problem.
std::vector<Candidate> FallbackOrder(const Problem& problem, const DeviceSpec& device);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_RESOLVE_H_
