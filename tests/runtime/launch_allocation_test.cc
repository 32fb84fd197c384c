// Launch does not touch the heap. This file replaces operator new for the whole test program, to
// count.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "runtime/dispatcher.h"
#include "tests/testing/fake_gpu.h"
#include "tests/testing/forward_case.h"

namespace {

thread_local int allocations = 0;

void* Allocate(std::size_t bytes) {
  ++allocations;
  return std::malloc(bytes);
}

}  // namespace

// Not inlined: GCC would take the malloc and free within for mismatched pairs.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (void* memory = Allocate(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return Allocate(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace moetune {
namespace {

class LaunchAllocation : public testing::Test {
 protected:
  // What a launch of `problem` allocates; the driver's own launch is an empty function.
  int AllocationsOf(const Problem& problem) {
    const ForwardCase run = *ForwardCase::Create(driver_, problem);
    const int before = allocations;
    const absl::Status status = dispatcher_->Launch(problem.shape, run.args(), nullptr);
    const int after = allocations;
    EXPECT_EQ(status, absl::OkStatus());
    return after - before;
  }

  static DriverApi WithEmptyLaunch(DriverApi driver) {
    driver.launch = [](CUfunc_st*, const Plan&, const void*, CUstream_st*) { return 0; };
    return driver;
  }

  FakeGpu gpu_;
  DriverApi driver_ = WithEmptyLaunch(gpu_.driver);
  TempFolder folder_;
  std::unique_ptr<Dispatcher> dispatcher_ = *Dispatcher::Open(
      {.cubin_folder = folder_.path(), .driver = &driver_, .nvrtc = &gpu_.nvrtc.api()});
};

TEST_F(LaunchAllocation, CountsWhatIsAllocated) {
  const int before = allocations;
  const auto memory = std::make_unique<int>(1);
  EXPECT_EQ(allocations - before, 1);
}

TEST_F(LaunchAllocation, APreparedShapeAllocatesNothingAtAnyRowCount) {
  for (const int64_t tokens : {4, 32}) {
    ASSERT_EQ(dispatcher_->Prepare(ProblemOf("forward/bf16/gather/e4/t8x2/n24/k16")),
              absl::OkStatus());
    Problem problem = ProblemOf("forward/bf16/gather/e4/t8x2/n24/k16");
    problem.tokens = tokens;
    problem.rows = 2 * tokens;
    EXPECT_EQ(AllocationsOf(problem), 0) << tokens;
  }
}

TEST_F(LaunchAllocation, AnUnpreparedShapeAllocatesNothing) {
  for (const int64_t block_m : {16, 32, 64, 128}) {
    ASSERT_EQ(dispatcher_->Prepare(ProblemOf("forward/bf16/plain/e4/t8x2/n24/k16"),
                                   ReferenceCandidate(block_m)),
              absl::OkStatus());
  }
  EXPECT_EQ(AllocationsOf(ProblemOf("forward/bf16/plain/e3/t5x1/n40/k8")), 0);
  dispatcher_->WaitForBackground();
}

}  // namespace
}  // namespace moetune
