// One fictional GPU with its compiler, a cubin cache and a current context: what tests of the
// runtime stand on.
#ifndef MOETUNE_TESTS_TESTING_FAKE_GPU_H_
#define MOETUNE_TESTS_TESTING_FAKE_GPU_H_

#include "kernels/registry.h"
#include "runtime/cubin_cache.h"
#include "runtime/kernel_pool.h"
#include "tests/testing/fake_cuda.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

inline Candidate ReferenceCandidate(int64_t block_m = 64) {
  return {FindFamily("reference").value(), ReferenceConfig(block_m)};
}

struct FakeGpu {
  explicit FakeGpu(const FakeScript& script = {}) : nvrtc(script), cuda(script) {}

  FakeNvrtc nvrtc;
  FakeCuda cuda;
  const DriverApi& driver = cuda.api();
  Context context = *Context::Acquire(driver, 0);
  TempFolder folder;
  KernelPool pool = KernelPool(context, *CubinCache::Open(folder.path()),
                               {.max_kernels = 1000, .nvrtc = &nvrtc.api()});
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FAKE_GPU_H_
