// The analytic model: how long a config should take, from facts alone. It orders the first trials
// of a search, answers where nothing was measured, and picks the default that winners must beat.
#ifndef MOETUNE_KERNELS_COST_MODEL_H_
#define MOETUNE_KERNELS_COST_MODEL_H_

#include "absl/status/statusor.h"
#include "kernels/family.h"

namespace moetune {

// Estimated time of one launch in µs: the longest of its compute, memory and L2 times over the
// waves of its tiles, and more where another takes about as long. `facts` (may be null) gives the
// occupancy of the compiled kernel; without it the plan's shared memory and threads do. Only the
// order of estimates is meant to be trusted.
double EstimateUs(const Problem& problem, const Candidate& candidate, const DeviceSpec& device,
                  const KernelFacts* facts);

// The floor of a problem on a device: max(flops / matrix rate, bytes / copy rate), in µs, with
// every expert touched that the expected routing touches.
double FloorUs(const Problem& problem, const DeviceSpec& device);

// The same with the experts that a known routing touches.
double FloorUs(const Problem& problem, int64_t touched_experts, const DeviceSpec& device);

// The candidate of least estimated time over all legal configs of all families; ties go to the
// earlier family and config. NotFound where no family runs the problem on the device.
absl::StatusOr<Candidate> DefaultCandidate(const Problem& problem, const DeviceSpec& device);

// CTAs per SM that shared memory, registers (0: unknown) and threads allow.
int ResidentCtas(const DeviceSpec& device, const Plan& plan, int registers_per_thread);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_COST_MODEL_H_
