// The worker: what a child process of a sweep runs. It compiles, or it verifies and times on one
// GPU, and it may die of it.
#ifndef MOETUNE_TUNER_WORKER_H_
#define MOETUNE_TUNER_WORKER_H_

#include "runtime/driver.h"
#include "runtime/nvrtc.h"
#include "tuner/timer.h"

namespace moetune {

// What a worker works with. Null: libcuda and libnvrtc, opened when they are needed.
struct WorkerTools {
  const DriverApi* driver = nullptr;
  const NvrtcApi* nvrtc = nullptr;
  Policy policy;
};

// Serves the parent process over standard input, a socket, until the parent closes it or dies.
// Returns the exit code.
int RunWorker(const WorkerTools& tools);

}  // namespace moetune

#endif  // MOETUNE_TUNER_WORKER_H_
