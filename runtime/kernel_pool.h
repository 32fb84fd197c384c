// KernelPool: the kernels that a dispatcher has loaded, each config once, until the end.
#ifndef MOETUNE_RUNTIME_KERNEL_POOL_H_
#define MOETUNE_RUNTIME_KERNEL_POOL_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "db/mutex.h"
#include "kernels/source.h"
#include "runtime/cubin_cache.h"
#include "runtime/kernel.h"

namespace moetune {

struct KernelPoolOptions {
  ArgTypes arg_types;
  size_t max_kernels = 0;
  const NvrtcApi* nvrtc = nullptr;  // null: libnvrtc, opened when something must be compiled
};

// Thread-safe: compiles run beside each other, loads one at a time. `context` outlives the pool and
// is current on every thread that calls, the one that destroys it included.
class KernelPool {
 public:
  KernelPool(const Context& context, CubinCache cache, const KernelPoolOptions& options)
      : context_(context), cache_(std::move(cache)), options_(options) {}
  ~KernelPool();

  // The kernel of `candidate` for the op, dtypes and fusions of `problem`: loaded already, or from
  // the cubin that `nvrtc_version` made (empty: not known) where the cache has it and the driver
  // takes it, or compiled now. Loads beside a stream capture on another thread without harm. Stays
  // valid as long as the pool. ResourceExhausted when the pool is full, FailedPrecondition when
  // nothing can be compiled here, anything else speaks of this candidate alone.
  absl::StatusOr<const LoadedKernel*> Get(const Problem& problem, const Candidate& candidate,
                                          std::string_view nvrtc_version);

 private:
  absl::StatusOr<Cubin> CompileHere(const Source& source, std::string_view arch) const;
  absl::Status CheckRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // By the fingerprint of what was compiled, into which sizes of a problem do not enter, and the
  // config, of which what is given at launch does not.
  using Key = std::pair<std::string, Config>;
  const LoadedKernel* FindLoaded(const Key& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<const LoadedKernel*> Load(const Key& key, const Cubin& cubin,
                                           const Problem& problem, const Candidate& candidate);

  const Context& context_;
  const CubinCache cache_;
  const KernelPoolOptions options_;
  mutable Mutex mutex_;
  std::map<Key, std::unique_ptr<const LoadedKernel>> kernels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_KERNEL_POOL_H_
