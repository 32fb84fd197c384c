// LoadedKernel: a cubin in a context, ready to launch. The only launch of a family: what the
// tuner times is what the dispatcher serves.
#ifndef MOETUNE_RUNTIME_KERNEL_H_
#define MOETUNE_RUNTIME_KERNEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/family.h"
#include "kernels/op.h"
#include "runtime/compiler.h"
#include "runtime/device.h"
#include "runtime/tile_queues.h"

namespace moetune {

class LoadedKernel {
 public:
  // Loads into the current context, for `problem` and all others that the cubin serves.
  static absl::StatusOr<LoadedKernel> Load(const Context& context, const Cubin& cubin,
                                           const Candidate& candidate, const Problem& problem);
  ~LoadedKernel();
  LoadedKernel(LoadedKernel&& other) noexcept;
  LoadedKernel& operator=(LoadedKernel&& other) noexcept;

  // Enqueues the kernel on `stream` for the sizes in `problem` (shape, tokens, rows), and with
  // combine the one that sums. Zero rows is a no-op, except that combine writes zeros. Does not
  // allocate, lock, or synchronise; may be captured in a CUDA graph. Thread-safe. InvalidArgument
  // where x or w do not begin where the family takes them, or x is larger than it can address.
  absl::Status Launch(const Problem& problem, const MoeArgs& args, CUstream_st* stream) const;

  const Candidate& candidate() const { return candidate_; }
  const KernelFacts& facts() const { return facts_; }  // resident_ctas included

 private:
  LoadedKernel() = default;
  absl::Status Enqueue(CUfunc_st* function, const Plan& plan, const MoeArgs& args,
                       CUstream_st* stream) const;

  const DriverApi* driver_ = nullptr;
  DeviceSpec device_;
  Candidate candidate_;
  KernelFacts facts_;
  CUmod_st* module_ = nullptr;
  CUfunc_st* function_ = nullptr;
  CUfunc_st* combine_ = nullptr;        // null where the plan has no such launch
  std::unique_ptr<TileQueues> queues_;  // null where CTAs draw no tiles
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_KERNEL_H_
