// CompilePool: child processes that compile candidates ahead of their timing, each kernel once.
// Processes and not threads: NVRTC in one process gains little from threads, and only a process can
// be killed.
#ifndef MOETUNE_TUNER_COMPILE_POOL_H_
#define MOETUNE_TUNER_COMPILE_POOL_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/cubin_cache.h"
#include "tuner/compile_result.h"
#include "tuner/job_queue.h"
#include "tuner/worker_client.h"

namespace moetune {

struct CompilePoolOptions {
  WorkerCommand worker;
  std::string cubin_folder;  // where the cubins go
  int processes = 1;
  absl::Duration limit = absl::Seconds(60);  // for one candidate; then it is killed
};

// Thread-safe.
class CompilePool {
 public:
  // FailedPrecondition when workers cannot compile here at all: no NVRTC, no folder.
  static absl::StatusOr<std::unique_ptr<CompilePool>> Start(CompilePoolOptions options);
  ~CompilePool();  // kills what still runs
  CompilePool(const CompilePool&) = delete;
  CompilePool& operator=(const CompilePool&) = delete;

  const std::string& nvrtc() const { return nvrtc_; }  // its version

  // Compiles for `arch` soon. Returns at once; the second time does nothing.
  void Submit(const Problem& problem, const Candidate& candidate, std::string_view arch);

  // Compiles when nothing else is to be compiled, and on all but one of the processes: what is
  // submitted meanwhile finds that one.
  void SubmitSpare(const Problem& problem, const Candidate& candidate, std::string_view arch);

  // The same before all others, and waits for it. What is in the folder already is taken from
  // there, and waits for no process. An error: compiling does not work any more.
  absl::StatusOr<CompileResult> Wait(const Problem& problem, const Candidate& candidate,
                                     std::string_view arch);

  // The place of a candidate that Wait need not wait for, the first such; where there is none, it
  // submits them all, and waits for the first that is.
  size_t WaitForAny(const Problem& problem, std::span<const Candidate> candidates,
                    std::string_view arch);

 private:
  struct Job {
    Problem problem;
    Candidate candidate;
    std::string arch;
  };
  using Slot = std::optional<WorkerClient>;

  CompilePool(CompilePoolOptions options, CubinCache cache, std::string nvrtc);
  bool FinishFromCache(const std::string& name, const Job& job);
  void Work(Slot worker, bool takes_spare);
  absl::StatusOr<CompileResult> Compile(Slot& worker, const Job& job);
  absl::Status Send(Slot& worker, const Job& job);
  absl::StatusOr<CompileResult> Await(Slot& worker);

  const CompilePoolOptions options_;
  const CubinCache cache_;
  const std::string nvrtc_;
  JobQueue<Job, absl::StatusOr<CompileResult>> queue_;
  std::vector<std::jthread> threads_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_COMPILE_POOL_H_
