// CapturedGraph: what was enqueued on a stream, as a CUDA graph to be replayed. With declarations
// of its own: the project's table of driver functions has no use for graphs.
#ifndef MOETUNE_TESTS_GPU_CUDA_GRAPH_H_
#define MOETUNE_TESTS_GPU_CUDA_GRAPH_H_

#include <dlfcn.h>

#include <functional>
#include <utility>

#include "kernels/status_macros.h"
#include "runtime/driver.h"

namespace moetune {

class CapturedGraph {
 public:
  // Captures what `enqueue` puts on the stream; nothing of it runs. Fails when `enqueue` does, or
  // when it does what a capture does not allow: to synchronise, to allocate.
  static absl::StatusOr<CapturedGraph> Capture(const DriverApi& driver, CUstream_st* stream,
                                               const std::function<absl::Status()>& enqueue) {
    CapturedGraph graph(driver);
    constexpr int kGlobal = 0;  // whatever is unsafe is refused, on every thread
    void* captured = nullptr;
    RETURN_IF_ERROR(graph.Call("cuStreamBeginCapture_v2", stream, kGlobal));
    const absl::Status enqueued = enqueue();
    RETURN_IF_ERROR(graph.Call("cuStreamEndCapture", stream, &captured));
    const absl::Status made =
        graph.Call("cuGraphInstantiateWithFlags", &graph.executable_, captured, 0ULL);
    RETURN_IF_ERROR(graph.Call("cuGraphDestroy", captured));
    RETURN_IF_ERROR(enqueued);
    RETURN_IF_ERROR(made);
    return graph;
  }
  CapturedGraph(CapturedGraph&& other) noexcept
      : driver_(other.driver_), executable_(std::exchange(other.executable_, nullptr)) {}
  ~CapturedGraph() {
    if (executable_ != nullptr) Call("cuGraphExecDestroy", executable_).IgnoreError();
  }

  absl::Status Replay(CUstream_st* stream) const {
    return Call("cuGraphLaunch", executable_, stream);
  }

 private:
  explicit CapturedGraph(const DriverApi& driver) : driver_(&driver) {}

  template <typename... Arguments>
  absl::Status Call(const char* name, Arguments... arguments) const {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    void* function = library == nullptr ? nullptr : dlsym(library, name);
    if (function == nullptr) return absl::UnimplementedError(name);
    return DriverStatus(*driver_, reinterpret_cast<int (*)(Arguments...)>(function)(arguments...),
                        name);
  }

  const DriverApi* driver_;
  void* executable_ = nullptr;
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_GPU_CUDA_GRAPH_H_
