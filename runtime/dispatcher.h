// Dispatcher: one call per grouped GEMM, always with the best known config, never a stall.
//
//   auto dispatcher =
//       moetune::Dispatcher::Open({.database = "moetune.db", .cubin_folder = "cubins"});
//   auto problem = moetune::ParseProblem("forward/bf16/gather/e128/t1024x8/n1536/k2048");
//   absl::Status ready = (*dispatcher)->Prepare(*problem);       // look up, load or compile: once
//   moetune::MoeArgs args = {.x = x, .w = w, .y = y, .row_counts = counts, .row_index = index,
//                            .tokens = 1000, .rows = 8000, .experts = 128, .top_k = 8,
//                            .n = 1536, .k = 2048};
//   absl::Status launched = (*dispatcher)->Launch(problem->shape, args, stream);   // about 1 µs
//
// Arguments are device addresses; layouts stand in kernels/device/args.h. Row counts per expert are
// read on the device: their sum may be anything up to args.rows. With the fusion combine the caller
// gives WorkspaceBytes(problem) of device memory, whatever the config; launches of one stream may
// share it.
#ifndef MOETUNE_RUNTIME_DISPATCHER_H_
#define MOETUNE_RUNTIME_DISPATCHER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "db/snapshot.h"
#include "kernels/device/args.h"
#include "kernels/family.h"
#include "kernels/source.h"
#include "runtime/config_source.h"

struct CUstream_st;

namespace moetune {

struct DriverApi;
struct NvrtcApi;

struct DispatcherOptions {
  // Where configs come from: a database file, or `source` when given. Neither: the cost model.
  std::string database;
  std::unique_ptr<ConfigSource> source;

  int device = 0;            // ordinal; its primary context is used
  std::string cubin_folder;  // cache of compiled kernels; required
  ArgTypes arg_types;        // of row counts, row indices and scale weights

  // Loaded kernels, and row counts ready, kept for look-up at most: bounds what unforeseen shapes
  // can cost. Prepare past it is ResourceExhausted. Memory of the host grows with its square.
  int max_kernels = 512;

  // Tables to use in place of libcuda and libnvrtc; null opens the real ones. NVRTC is opened only
  // when a cubin is not in the cache.
  const DriverApi* driver = nullptr;
  const NvrtcApi* nvrtc = nullptr;
};

// What answered a problem, for logs and tests.
struct Ready {
  Tier tier;  // of the source's choice; kDefault when that could not be had, or when pinned
  Candidate candidate;
  bool pinned = false;
  absl::Status rejected;  // why the source's choice is not what runs; OK when it is
};

// All methods are thread-safe. Prepare may take long, and may run beside a stream capture on
// another thread. Launch never compiles, queries, locks or synchronises, nor allocates for a
// prepared shape; it may be captured in a CUDA graph. Destroy it only when the work launched
// through it has ended.
class Dispatcher {
 public:
  static absl::StatusOr<std::unique_ptr<Dispatcher>> Open(DispatcherOptions options);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Makes `problem` ready with the best known config. Repeat it for each token count of interest:
  // a launch takes the one nearest in log space. Repeated when the source cannot be asked, it is OK
  // and keeps the source's earlier choice.
  absl::Status Prepare(const Problem& problem);

  // Makes `problem` ready with this config, whatever the source says, until it is prepared anew:
  // the manual mode. InvalidArgument says why a config is not legal.
  absl::Status Prepare(const Problem& problem, const Candidate& candidate);

  // Enqueues the op on `stream`. The kernel is the one ready for the row count nearest to
  // args.rows; for a shape that was never prepared, the one the cost model likes best among those
  // loaded for its op, dtypes and fusions, while the right one is fetched in the background.
  // FailedPrecondition naming Prepare when there is none. args.rows == 0 is a no-op, except
  // that combine writes zeros.
  absl::Status Launch(const Shape& shape, const MoeArgs& args, CUstream_st* stream);

  // What Launch would run for this problem. NotFound before Prepare.
  absl::StatusOr<Ready> Inspect(const Problem& problem) const;

  // Blocks until every background fetch that launches asked for has ended.
  void WaitForBackground();

 private:
  class Impl;
  explicit Dispatcher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_DISPATCHER_H_
