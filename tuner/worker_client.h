// WorkerClient: a child process that compiles, or measures on one GPU, and its typed requests.
#ifndef MOETUNE_TUNER_WORKER_CLIENT_H_
#define MOETUNE_TUNER_WORKER_CLIENT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tuner/child_process.h"
#include "tuner/compile_result.h"
#include "tuner/gpu_evaluator.h"
#include "tuner/routing.h"

namespace moetune {

// The program that runs as a worker, with its arguments: one that calls RunWorker.
using WorkerCommand = std::vector<std::string>;

struct WorkerStart {
  std::string cubin_folder;
  std::optional<int> device;  // measures on this GPU; without one it compiles
  uint64_t seed = 1;
  Histograms histograms;
  bool as_peers = false;  // measures under AsPeersWereTimed
};

struct WorkerHello {
  std::string nvrtc;
  DeviceSpec device;  // of a worker that measures, as are the rest
  std::string driver;
  std::string policy;
  std::vector<std::string> notes;  // what its rows will lack, and why
};

// Not thread-safe. Every call may return Unavailable, with how the child ended; then it is of no
// more use. DeadlineExceeded leaves the request running.
class WorkerClient {
 public:
  // Starts the process and waits until it is ready. Its own error when it cannot work at all: no
  // GPU, no NVRTC.
  static absl::StatusOr<WorkerClient> Start(const WorkerCommand& command, const WorkerStart& start,
                                            absl::Duration limit);

  const WorkerHello& hello() const { return hello_; }

  absl::Status StartCompile(const Problem& problem, const Candidate& candidate,
                            std::string_view arch);
  absl::StatusOr<CompileResult> FinishCompile(absl::Time deadline);

  absl::Status StartMeasure(const Problem& problem, std::span<const Candidate> candidates,
                            Effort effort, std::span<const Candidate> bases);

  // What the worker reports next. After a status, OK or not, the request has ended.
  struct Measured {
    size_t candidate = 0;
    Trial trial;
  };
  using Event = std::variant<Step, Measured, absl::Status>;
  absl::StatusOr<Event> NextEvent(absl::Time deadline);

 private:
  explicit WorkerClient(ChildProcess process) : process_(std::move(process)) {}

  ChildProcess process_;
  WorkerHello hello_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_WORKER_CLIENT_H_
