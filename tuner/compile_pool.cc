#include "tuner/compile_pool.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "kernels/status_macros.h"
#include "tuner/kernel_name.h"

namespace moetune {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(30);
constexpr absl::Duration kGlance = absl::Milliseconds(50);  // between looks at whether to stop

// Processes that die one after the other before they are sent a job mean that none can work.
constexpr int kMaxFruitless = 3;

std::string JobName(const Problem& problem, const Candidate& candidate, std::string_view arch) {
  return absl::StrFormat("%s %s", arch, KernelName(problem.shape, candidate));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CompilePool>> CompilePool::Start(CompilePoolOptions options) {
  // The first worker tells whether workers work.
  ASSIGN_OR_RETURN(
      WorkerClient first,
      WorkerClient::Start(options.worker, {.cubin_folder = options.cubin_folder}, kStartLimit));
  std::string nvrtc = first.hello().nvrtc;
  ASSIGN_OR_RETURN(CubinCache cache, CubinCache::Open(options.cubin_folder));
  std::unique_ptr<CompilePool> pool(
      new CompilePool(std::move(options), std::move(cache), std::move(nvrtc)));
  pool->threads_.emplace_back(&CompilePool::Work, pool.get(), std::move(first),
                              /*takes_spare=*/false);
  for (int i = 1; i < pool->options_.processes; ++i) {
    pool->threads_.emplace_back(&CompilePool::Work, pool.get(), std::nullopt, /*takes_spare=*/true);
  }
  return pool;
}

CompilePool::CompilePool(CompilePoolOptions options, CubinCache cache, std::string nvrtc)
    : options_(std::move(options)), cache_(std::move(cache)), nvrtc_(std::move(nvrtc)) {}

CompilePool::~CompilePool() { queue_.Stop(); }

void CompilePool::Submit(const Problem& problem, const Candidate& candidate,
                         std::string_view arch) {
  queue_.Push(JobName(problem, candidate, arch), {problem, candidate, std::string(arch)});
}

void CompilePool::SubmitSpare(const Problem& problem, const Candidate& candidate,
                              std::string_view arch) {
  queue_.Push(JobName(problem, candidate, arch), {problem, candidate, std::string(arch)},
              Turn::kSpare);
}

absl::StatusOr<CompileResult> CompilePool::Wait(const Problem& problem, const Candidate& candidate,
                                                std::string_view arch) {
  const std::string name = JobName(problem, candidate, arch);
  const Job job = {problem, candidate, std::string(arch)};
  queue_.Push(name, job);
  if (queue_.StateOf(name) == JobState::kWaiting && !FinishFromCache(name, job)) {
    queue_.Push(name, job, Turn::kFirst);
  }
  auto result = queue_.Wait(name);
  if (result) return *std::move(result);
  return absl::CancelledError("the compile pool was stopped");
}

size_t CompilePool::WaitForAny(const Problem& problem, std::span<const Candidate> candidates,
                               std::string_view arch) {
  std::vector<std::string> names;
  std::vector<size_t> waiting;
  for (size_t i = 0; i < candidates.size(); ++i) {
    names.push_back(JobName(problem, candidates[i], arch));
    queue_.Push(names[i], {problem, candidates[i], std::string(arch)});
    const JobState state = queue_.StateOf(names[i]);
    if (state == JobState::kFinished) return i;
    if (state == JobState::kWaiting) waiting.push_back(i);
  }
  for (const size_t i : waiting) {
    if (FinishFromCache(names[i], {problem, candidates[i], std::string(arch)})) return i;
  }
  return queue_.WaitForAny(names).value_or(0);
}

// In a process of the pool it would stand behind compiles.
bool CompilePool::FinishFromCache(const std::string& name, const Job& job) {
  const absl::Time start = absl::Now();
  const std::optional<Cubin> cubin =
      cache_.Find(CubinKey(MakeSource(job.problem.shape, job.candidate), job.arch, nvrtc_));
  if (!cubin) return false;
  CompileResult result = Judge(*cubin);
  result.compile_ms = absl::ToDoubleMilliseconds(absl::Now() - start);
  queue_.Finish(name, std::move(result));
  return true;
}

void CompilePool::Work(Slot worker, bool takes_spare) {
  while (auto job = queue_.Pop(takes_spare))
    queue_.Finish(job->first, Compile(worker, job->second));
}

absl::StatusOr<CompileResult> CompilePool::Compile(Slot& worker, const Job& job) {
  RETURN_IF_ERROR(Send(worker, job));
  const absl::StatusOr<CompileResult> result = Await(worker);
  if (absl::IsUnavailable(result.status())) {
    worker.reset();
    return CompileResult{.outcome = Outcome::kCrash,
                         .error = absl::StrFormat("compiling: %s", result.status().message())};
  }
  if (!result.ok()) worker.reset();
  return result;
}

// To a new worker, where there is none or it has died since its last job.
absl::Status CompilePool::Send(Slot& worker, const Job& job) {
  absl::Status status = absl::CancelledError("the compile pool was stopped");
  for (int fruitless = 0; fruitless < kMaxFruitless && !queue_.stopped(); ++fruitless) {
    if (!worker) {
      absl::StatusOr<WorkerClient> started = WorkerClient::Start(
          options_.worker, {.cubin_folder = options_.cubin_folder}, kStartLimit);
      status = started.status();
      if (!status.ok()) continue;
      worker = *std::move(started);
    }
    status = worker->StartCompile(job.problem, job.candidate, job.arch);
    if (status.ok()) return status;
    worker.reset();
  }
  return absl::UnavailableError(
      absl::StrFormat("cannot start a process that compiles: %s", status.message()));
}

absl::StatusOr<CompileResult> CompilePool::Await(Slot& worker) {
  const absl::Time deadline = absl::Now() + options_.limit;
  while (!queue_.stopped()) {
    absl::StatusOr<CompileResult> result =
        worker->FinishCompile(std::min(deadline, absl::Now() + kGlance));
    if (!absl::IsDeadlineExceeded(result.status())) return result;
    if (absl::Now() < deadline) continue;
    worker.reset();
    return CompileResult{.outcome = Outcome::kTimeout,
                         .error = absl::StrFormat("compiling took longer than %s and was ended",
                                                  absl::FormatDuration(options_.limit))};
  }
  return absl::CancelledError("the compile pool was stopped");
}

}  // namespace moetune
