#include "tuner/worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "kernels/status_macros.h"
#include "runtime/clock_probe.h"
#include "runtime/comparison.h"
#include "runtime/cubin_cache.h"
#include "runtime/nvml.h"
#include "tuner/frame.h"
#include "tuner/gpu_evaluator.h"
#include "tuner/worker_messages.h"

namespace moetune {
namespace {

constexpr int kCompilePriority = 10;  // 0 is usual, 19 the least
constexpr size_t kLogBytes = 2000;    // of a compiler's log, in a database row

class Worker {
 public:
  explicit Worker(const WorkerTools& tools) : tools_(tools) {}

  // Until the parent is gone: OK. An error means that this process is of no more use.
  absl::Status Serve() {
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<std::string> bytes, ReadFrame());
      if (!bytes) return absl::OkStatus();
      internal::Request request;
      if (!request.ParseFromString(*bytes)) return absl::DataLossError("no message of a sweep");
      const absl::Status status = Handle(request);
      if (status.ok()) continue;
      internal::Reply reply;
      *reply.mutable_failed() = ToMessage(status);
      RETURN_IF_ERROR(Send(reply));
      if (!absl::IsResourceExhausted(status)) return status;
    }
  }

 private:
  absl::Status Handle(const internal::Request& request) {
    if (request.has_start()) return HandleStart(FromMessage(request.start()));
    if (!cache_) return absl::FailedPreconditionError("the worker was not told to start");
    if (request.has_compile()) return HandleCompile(request.compile());
    if (request.has_measure() && gpu_) return HandleMeasure(request.measure());
    return absl::FailedPreconditionError("the worker was not started for this request");
  }

  absl::Status HandleStart(const WorkerStart& start) {
    if (tools_.nvrtc == nullptr) {
      ASSIGN_OR_RETURN(tools_.nvrtc, OpenNvrtc());
    }
    ASSIGN_OR_RETURN(cache_, CubinCache::Open(start.cubin_folder));
    // Compiles make way for the process that times.
    if (!start.device) setpriority(PRIO_PROCESS, 0, kCompilePriority);
    WorkerHello hello = {.nvrtc = NvrtcVersionText(*tools_.nvrtc)};
    if (start.device) {
      if (tools_.driver == nullptr) {
        ASSIGN_OR_RETURN(tools_.driver, OpenDriver());
      }
      ASSIGN_OR_RETURN(
          gpu_, GpuEvaluator::Create(
                    *tools_.driver, *cache_, hello.nvrtc,
                    {.device = *start.device,
                     .seed = start.seed,
                     .policy = start.as_peers ? AsPeersWereTimed(tools_.policy) : tools_.policy,
                     .histograms = start.histograms}));
      hello.device = gpu_->device();
      hello.driver = gpu_->driver_version();
      hello.policy = gpu_->policy().Text();
      hello.notes = StartWitnesses();
    }
    internal::Reply reply;
    *reply.mutable_hello() = ToMessage(hello);
    return Send(reply);
  }

  // The kernels beside the candidates', and NVML. Without them a time is as good: its row says
  // less, or it comes later.
  std::vector<std::string> StartWitnesses() {
    std::vector<std::string> notes;
    const std::string arch = ArchName(gpu_->device().compute_capability);
    const auto load = [&](const Source& source, absl::Status (GpuEvaluator::*use)(const Cubin&),
                          std::string_view without) {
      const absl::StatusOr<Cubin> cubin = CompileCached(*cache_, *tools_.nvrtc, source, arch);
      const absl::Status status = cubin.ok() ? (*gpu_.*use)(*cubin) : cubin.status();
      if (!status.ok()) notes.push_back(absl::StrFormat("%s: %s", without, status.message()));
    };
    load(ClockProbeSource(), &GpuEvaluator::UseClockProbe, "the SM clock is not counted");
    load(CompareSource(), &GpuEvaluator::UseComparison, "outputs are compared on the host");
    if (DriverVersionText().empty()) {
      notes.push_back(
          "NVML does not answer: clocks, power, temperature and throttling are unknown");
    }
    return notes;
  }

  absl::Status HandleCompile(const internal::Compile& request) {
    ASSIGN_OR_RETURN(const Problem problem, ParseProblem(request.problem()));
    ASSIGN_OR_RETURN(const Candidate candidate, FromMessage(request.candidate()));
    const Source source = MakeSource(problem.shape, candidate);
    const absl::Time start = absl::Now();
    const absl::StatusOr<Cubin> cubin =
        CompileCached(*cache_, *tools_.nvrtc, source, request.arch());
    CompileResult result = cubin.ok() ? Judge(*cubin) : Refused(cubin.status());
    result.compile_ms = absl::ToDoubleMilliseconds(absl::Now() - start);
    // The timing process takes the cubin from there.
    const std::string key = CubinKey(source, request.arch(), NvrtcVersionText(*tools_.nvrtc));
    if (cubin.ok() && !cache_->Find(key)) {
      return absl::FailedPreconditionError(
          absl::StrFormat("cannot write cubins to %s", cache_->folder().string()));
    }
    internal::Reply reply;
    *reply.mutable_compiled() = ToMessage(result);
    return Send(reply);
  }

  static CompileResult Refused(const absl::Status& error) {
    return {.outcome = Outcome::kCompileError,
            .error = std::string(error.message().substr(0, kLogBytes))};
  }

  absl::Status HandleMeasure(const internal::Measure& request) {
    ASSIGN_OR_RETURN(const Problem problem, ParseProblem(request.problem()));
    ASSIGN_OR_RETURN(const Effort effort, ParseEffort(request.effort()));
    ASSIGN_OR_RETURN(const std::vector<Candidate> candidates, FromMessages(request.candidates()));
    ASSIGN_OR_RETURN(const std::vector<Candidate> bases, FromMessages(request.bases()));
    // A parent that is gone is noticed when the next request is read.
    const MeasureCalls calls = {.on_step =
                                    [&](Step step) {
                                      internal::Reply reply;
                                      *reply.mutable_step() = ToMessage(step);
                                      Send(reply).IgnoreError();
                                    },
                                .on_trial =
                                    [&](size_t candidate, const Trial& trial) {
                                      internal::Reply reply;
                                      *reply.mutable_measured() = ToMessage(candidate, trial);
                                      Send(reply).IgnoreError();
                                    }};
    RETURN_IF_ERROR(gpu_->Measure(problem, candidates, effort, bases, calls));
    internal::Reply reply;
    reply.mutable_done();
    return Send(reply);
  }

  // nullopt: the parent has closed its end.
  absl::StatusOr<std::optional<std::string>> ReadFrame() {
    while (true) {
      ASSIGN_OR_RETURN(std::optional<std::string> frame, frames_.Next());
      if (frame) return frame;
      std::array<char, 65536> bytes;
      const ssize_t count = read(STDIN_FILENO, bytes.data(), bytes.size());
      if (count == 0) return std::nullopt;
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return absl::ErrnoToStatus(errno, "cannot read from the sweep");
      frames_.Append({bytes.data(), static_cast<size_t>(count)});
    }
  }

  static absl::Status Send(const internal::Reply& reply) {
    return WriteFrame(STDIN_FILENO, reply.SerializeAsString());
  }

  WorkerTools tools_;
  FrameReader frames_;
  std::optional<CubinCache> cache_;
  std::unique_ptr<GpuEvaluator> gpu_;
};

bool StandardInputIsSocket() {
  int type = 0;
  socklen_t size = sizeof(type);
  return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

}  // namespace

int RunWorker(const WorkerTools& tools) {
  if (!StandardInputIsSocket()) {
    std::cerr << "a worker is started by a sweep, not by hand\n";
    return 2;
  }
  // Also in the midst of a compile or a launch that never ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const absl::Status status = Worker(tools).Serve();
  return status.ok() ? 0 : 1;
}

}  // namespace moetune
