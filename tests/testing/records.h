// Records for tests: valid as they come, so that a test names only the fields that it is about.
#ifndef MOETUNE_TESTS_TESTING_RECORDS_H_
#define MOETUNE_TESTS_TESTING_RECORDS_H_

#include <string_view>
#include <vector>

#include "db/record.h"
#include "kernels/config.h"
#include "kernels/device_spec.h"
#include "kernels/problem.h"
#include "tests/testing/fictional_devices.h"

namespace moetune {

// A problem by its key, which must be valid.
Problem ProblemOf(std::string_view key);

// forward/bf16/plain/e8/tTOKENSx2/n1024/k512/softmax: a small family of problems.
Problem SmallProblem(int64_t tokens);

// A config of family reference that is legal everywhere the family is; tiles of block_m rows.
Config ReferenceConfig(int64_t block_m = 64);

// One of family sm80_mma. Those of each group_m (1, 8) share a kernel.
Config MmaConfig(int64_t group_m);

Environment FictionalEnvironment();

// Measured in FictionalEnvironment, family reference, twice as fast as its default.
Winner WinnerFor(const Problem& problem, const DeviceSpec& device = Fiction100());
Measurement MeasurementFor(const Problem& problem, const DeviceSpec& device = Fiction100());
Sweep StartedSweep();

// Winners of distinct problems, 25 token counts to a shape.
std::vector<Record> ManyWinners(int count, const DeviceSpec& device = Fiction100());

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_RECORDS_H_
