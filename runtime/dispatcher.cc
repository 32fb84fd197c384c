#include "runtime/dispatcher.h"

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_format.h"
#include "db/mutex.h"
#include "kernels/registry.h"
#include "kernels/space.h"
#include "kernels/status_macros.h"
#include "runtime/kernel_pool.h"
#include "runtime/miss_queue.h"
#include "runtime/ready_table.h"
#include "runtime/resolve.h"
#include "runtime/snapshot_source.h"

namespace moetune {
namespace {

absl::Status Annotate(const absl::Status& status, const Problem& problem) {
  return absl::Status(status.code(), absl::StrFormat("cannot make %s ready: %s",
                                                     ProblemKey(problem), status.message()));
}

}  // namespace

class Dispatcher::Impl {
 public:
  Impl(Context context, CubinCache cache, DispatcherOptions options)
      : context_(std::move(context)),
        source_(std::move(options.source)),
        max_points_(options.max_kernels),
        pool_(std::make_unique<KernelPool>(
            context_, std::move(cache),
            KernelPoolOptions{.arg_types = options.arg_types,
                              .max_kernels = static_cast<size_t>(options.max_kernels),
                              .nvrtc = options.nvrtc})) {
    MutexLock lock(mutex_);
    Replace(std::make_unique<const ReadyTable>());
    background_ = std::jthread([this] { ResolveMisses(); });
  }

  ~Impl() {
    misses_.Close();
    background_.join();
    const CurrentContext current(context_);
    pool_.reset();
  }

  absl::Status Prepare(const Problem& problem) {
    RETURN_IF_ERROR(ValidateProblem(problem));
    const CurrentContext current(context_);
    RETURN_IF_ERROR(current.status());
    absl::StatusOr<ReadyPoint> point = ResolveNow(problem);
    if (!point.ok()) return Annotate(point.status(), problem);
    return Publish(problem, *std::move(point), Origin::kPrepared);
  }

  absl::Status Prepare(const Problem& problem, const Candidate& candidate) {
    RETURN_IF_ERROR(ValidateProblem(problem));
    if (candidate.family == nullptr) return absl::InvalidArgumentError("candidate has no family");
    RETURN_IF_ERROR(CheckLegal(*candidate.family, problem, candidate.config, context_.device()));
    const CurrentContext current(context_);
    RETURN_IF_ERROR(current.status());
    absl::StatusOr<const LoadedKernel*> kernel = pool_->Get(problem, candidate, "");
    if (!kernel.ok()) return Annotate(kernel.status(), problem);
    return Publish(problem, {.kernel = *kernel, .pinned = true}, Origin::kPrepared);
  }

  absl::Status Launch(const Shape& shape, const MoeArgs& args, CUstream_st* stream) {
    if (args.rows == 0 && (args.tokens == 0 || !shape.Has(kCombine))) return absl::OkStatus();
    RETURN_IF_ERROR(OpOf(shape.op).check_args(shape, args));
    const Problem problem = {.shape = shape, .tokens = args.tokens, .rows = args.rows};
    const ReadyTable& table = *table_.load(std::memory_order_acquire);
    const ReadyTable::Match match = table.Find(shape, args.rows);
    const LoadedKernel* kernel = nullptr;
    if (match.point != nullptr) {
      kernel = match.point->kernel;
    } else {
      RETURN_IF_ERROR(ValidateShape(shape));
      kernel = table.BestLoaded(problem, context_.device());
    }
    if (kernel == nullptr) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "no kernel is loaded that can run %s: call Prepare first", ProblemKey(problem)));
    }
    if (match.wanting && args.rows > 0 && table.point_count() < max_points_) misses_.Push(problem);
    const CurrentContext current(context_);
    RETURN_IF_ERROR(current.status());
    return kernel->Launch(problem, args, stream);
  }

  absl::StatusOr<Ready> Inspect(const Problem& problem) const {
    const ReadyTable& table = *table_.load(std::memory_order_acquire);
    const ReadyPoint* point = table.Find(problem.shape, problem.rows).point;
    if (point == nullptr) {
      return absl::NotFoundError(
          absl::StrFormat("the shape of %s was not prepared", ProblemKey(problem)));
    }
    return Ready{.tier = point->tier,
                 .candidate = point->kernel->candidate(),
                 .pinned = point->pinned,
                 .rejected = point->rejected};
  }

  void WaitForBackground() { misses_.WaitUntilIdle(); }

 private:
  absl::StatusOr<ReadyPoint> ResolveNow(const Problem& problem) {
    return Resolve(problem, context_.device(), source_.get(), *pool_,
                   *table_.load(std::memory_order_acquire));
  }

  absl::Status Publish(const Problem& problem, ReadyPoint point, Origin origin) {
    MutexLock lock(mutex_);
    const ReadyTable& table = *table_.load(std::memory_order_relaxed);
    // Prepared while the background was busy with it: that stands.
    const bool late = origin == Origin::kLaunch && !table.Find(problem.shape, problem.rows).wanting;
    if (late) return absl::OkStatus();
    auto next = table.With(problem.shape, problem.rows, std::move(point), origin);
    if (next == nullptr) return absl::OkStatus();
    if (next->point_count() > max_points_) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%d problems are ready, as many as max_kernels allows", table.point_count()));
    }
    Replace(std::move(next));
    return absl::OkStatus();
  }

  void Replace(std::unique_ptr<const ReadyTable> table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    table_.store(table.get(), std::memory_order_release);
    tables_.push_back(std::move(table));
  }

  // The background thread.
  void ResolveMisses() {
    context_.MakeCurrent().IgnoreError();  // a load says so when it failed
    while (const std::optional<Problem> problem = misses_.Next()) {
      const ReadyTable& table = *table_.load(std::memory_order_acquire);
      // Many launches ask for the same before the first is served.
      if (!table.Find(problem->shape, problem->rows).wanting) continue;
      absl::StatusOr<ReadyPoint> point = ResolveNow(*problem);
      if (!point.ok()) {
        // What launches ran meanwhile becomes the answer, so that they stop asking.
        const LoadedKernel* loaded = table.BestLoaded(*problem, context_.device());
        if (loaded == nullptr) continue;
        point = ReadyPoint{.kernel = loaded, .rejected = point.status()};
      }
      Publish(*problem, *std::move(point), Origin::kLaunch).IgnoreError();
    }
  }

  const Context context_;
  const std::unique_ptr<ConfigSource> source_;
  const int64_t max_points_;
  std::unique_ptr<KernelPool> pool_;

  Mutex mutex_;
  // The newest is the one that launches read. A launch may still be reading an older one, so all of
  // them live until the end. Each has its own list of shapes and of the points of the one that
  // changed: some 10 MB in all once max_kernels' default is reached.
  std::vector<std::unique_ptr<const ReadyTable>> tables_ ABSL_GUARDED_BY(mutex_);
  std::atomic<const ReadyTable*> table_ = nullptr;

  MissQueue misses_;
  std::jthread background_;
};

Dispatcher::Dispatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dispatcher::~Dispatcher() = default;

absl::StatusOr<std::unique_ptr<Dispatcher>> Dispatcher::Open(DispatcherOptions options) {
  if (options.cubin_folder.empty()) {
    return absl::InvalidArgumentError("cubin_folder is empty; compiled kernels need a folder");
  }
  if (options.max_kernels < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("max_kernels is %d; allowed: 1 and more", options.max_kernels));
  }
  if (options.source == nullptr && !options.database.empty()) {
    ASSIGN_OR_RETURN(options.source, OpenSnapshotSource(options.database));
  }
  ASSIGN_OR_RETURN(CubinCache cache, CubinCache::Open(options.cubin_folder));
  if (options.driver == nullptr) {
    ASSIGN_OR_RETURN(options.driver, OpenDriver());
  }
  const DriverApi& driver = *options.driver;
  CUctx_st* previous = nullptr;
  RETURN_IF_ERROR(
      DriverStatus(driver, driver.context_get_current(&previous), "cannot use the driver"));
  ASSIGN_OR_RETURN(Context context, Context::Acquire(driver, options.device));
  driver.context_make_current(previous);
  auto impl = std::make_unique<Impl>(std::move(context), std::move(cache), std::move(options));
  return std::unique_ptr<Dispatcher>(new Dispatcher(std::move(impl)));
}

absl::Status Dispatcher::Prepare(const Problem& problem) { return impl_->Prepare(problem); }

absl::Status Dispatcher::Prepare(const Problem& problem, const Candidate& candidate) {
  return impl_->Prepare(problem, candidate);
}

absl::Status Dispatcher::Launch(const Shape& shape, const MoeArgs& args, CUstream_st* stream) {
  return impl_->Launch(shape, args, stream);
}

absl::StatusOr<Ready> Dispatcher::Inspect(const Problem& problem) const {
  return impl_->Inspect(problem);
}

void Dispatcher::WaitForBackground() { impl_->WaitForBackground(); }

}  // namespace moetune
