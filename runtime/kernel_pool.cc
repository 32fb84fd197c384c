#include "runtime/kernel_pool.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {

KernelPool::~KernelPool() {
  const RelaxedCaptureMode relaxed(context_.driver());
  MutexLock lock(mutex_);
  kernels_.clear();
}

const LoadedKernel* KernelPool::FindLoaded(const Key& key) const {
  const auto found = kernels_.find(key);
  return found == kernels_.end() ? nullptr : found->second.get();
}

absl::Status KernelPool::CheckRoom() const {
  if (kernels_.size() < options_.max_kernels) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "%d kernels are loaded, as many as max_kernels allows", options_.max_kernels));
}

absl::StatusOr<Cubin> KernelPool::CompileHere(const Source& source, std::string_view arch) const {
  const NvrtcApi* nvrtc = options_.nvrtc;
  if (nvrtc == nullptr) {
    ASSIGN_OR_RETURN(nvrtc, OpenNvrtc());
  }
  return CompileCached(cache_, *nvrtc, source, arch);
}

absl::StatusOr<const LoadedKernel*> KernelPool::Load(const Key& key, const Cubin& cubin,
                                                     const Problem& problem,
                                                     const Candidate& candidate) {
  MutexLock lock(mutex_);
  if (const LoadedKernel* kernel = FindLoaded(key)) return kernel;  // another thread was faster
  RETURN_IF_ERROR(CheckRoom());
  const RelaxedCaptureMode relaxed(context_.driver());
  ASSIGN_OR_RETURN(LoadedKernel loaded, LoadedKernel::Load(context_, cubin, candidate, problem));
  auto& slot = kernels_[key];
  slot = std::make_unique<const LoadedKernel>(std::move(loaded));
  return slot.get();
}

absl::StatusOr<const LoadedKernel*> KernelPool::Get(const Problem& problem,
                                                    const Candidate& candidate,
                                                    std::string_view nvrtc_version) {
  const Source source = MakeSource(problem.shape, candidate, options_.arg_types);
  const Key key = {source.fingerprint, candidate.config};
  {
    MutexLock lock(mutex_);
    if (const LoadedKernel* kernel = FindLoaded(key)) return kernel;
    RETURN_IF_ERROR(CheckRoom());
  }
  const std::string arch = ArchName(context_.device().compute_capability);
  // The very cubin that was timed also serves a machine without NVRTC, or with another version of
  // it.
  absl::Status refused;
  if (!nvrtc_version.empty()) {
    if (const auto timed = cache_.Find(CubinKey(source, arch, nvrtc_version))) {
      absl::StatusOr<const LoadedKernel*> kernel = Load(key, *timed, problem, candidate);
      if (kernel.ok() || absl::IsResourceExhausted(kernel.status())) return kernel;
      refused = kernel.status();
    }
  }
  const absl::StatusOr<Cubin> compiled = CompileHere(source, arch);
  if (!compiled.ok()) return refused.ok() ? compiled.status() : refused;
  return Load(key, *compiled, problem, candidate);
}

}  // namespace moetune
