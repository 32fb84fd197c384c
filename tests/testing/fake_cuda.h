// FakeCuda: a DriverApi for GPUs that do not exist. Device memory is host memory, a launch runs the
// host reference of the op, events tell scripted times, faults come as the script says. Cubins are
// those of FakeNvrtc.
//
// It is strict: leaks, a double free, a copy past an allocation, a handle that was never given out,
// and a launch whose arguments do not lie in device memory are failures of the test.
#ifndef MOETUNE_TESTS_TESTING_FAKE_CUDA_H_
#define MOETUNE_TESTS_TESTING_FAKE_CUDA_H_

#include <string>
#include <vector>

#include "kernels/family.h"
#include "runtime/driver.h"
#include "tests/testing/fake_script.h"

namespace moetune {

// The driver's codes that the fake returns.
namespace fake_cuda {
constexpr int kInvalidValue = 1;
constexpr int kOutOfMemory = 2;
constexpr int kNoDevice = 100;
constexpr int kInvalidDevice = 101;
constexpr int kInvalidImage = 200;
constexpr int kInvalidContext = 201;
constexpr int kNoBinaryForGpu = 209;
constexpr int kInvalidHandle = 400;
constexpr int kNotFound = 500;
constexpr int kIllegalAddress = 700;
constexpr int kLaunchOutOfResources = 701;
}  // namespace fake_cuda

// The table's functions have no state of their own: one FakeCuda at a time, which stands for the
// life of a process. Thread-safe.
class FakeCuda {
 public:
  explicit FakeCuda(FakeScript script = {});
  ~FakeCuda();  // reports Misuse() as failures of the test, and aborts where there is no test
  FakeCuda(const FakeCuda&) = delete;
  FakeCuda& operator=(const FakeCuda&) = delete;

  const DriverApi& api() const;

  // Every launch so far, those that failed included.
  struct Launched {
    Candidate candidate;
    Problem problem;
    int device = 0;
    LaunchArgs launch;
  };
  std::vector<Launched> launches() const;
  int loaded_modules() const;

  // What was done wrong up to now, and what is not released. Taking it clears it: for tests of
  // misuse.
  std::vector<std::string> TakeMisuse();
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FAKE_CUDA_H_
