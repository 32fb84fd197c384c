// Workload: a problem's tensors on the device, and the same values on the host.
#ifndef MOETUNE_TUNER_WORKLOAD_H_
#define MOETUNE_TUNER_WORKLOAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "kernels/op.h"
#include "runtime/device.h"
#include "tuner/routing.h"

namespace moetune {

// A tensor of any size whose element i is block[i mod size]: each one is known on the host, and the
// device is filled by copies alone. The size is a prime greater than the number of rows, so that no
// two rows are equal.
class Pattern {
 public:
  struct Kind {
    Dtype dtype = Dtype::kBf16;
    float deviation = 1;   // of a normal distribution around 0; no value is 0
    int64_t elements = 0;  // of the block
    uint64_t seed = 0;

    bool operator==(const Kind&) const = default;
  };
  static int64_t BlockElements(int64_t rows);

  Pattern() = default;
  explicit Pattern(const Kind& kind);

  // The elements from `first` on.
  void Read(int64_t first, std::span<float> values) const;

  const Kind& kind() const { return kind_; }
  std::span<const uint8_t> block() const { return block_; }

 private:
  Kind kind_;
  std::vector<uint8_t> block_;
};

// What a kernel is verified and timed on: a draw of each routing of the problem, which are timed,
// in the order of EachRouting, and last the sparse one.
struct HostWorkload {
  Problem problem;
  std::vector<RoutingDraw> draws;
  Pattern x;
  Pattern w;

  int timed_draws() const { return static_cast<int>(draws.size()) - 1; }
};

// The routing that kernels are timed on with this seed, of a problem that mixes none.
absl::StatusOr<RoutingDraw> TimedDraw(const Problem& problem, uint64_t seed,
                                      const Histograms& histograms);

// Where the tensors of an output lie in its bytes: y, and with preact that one after it, each
// between untouched spaces of Workload::kGuardBytes.
struct OutputTensor {
  std::string_view name;
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t bytes = 0;
};
std::vector<OutputTensor> OutputTensors(const Problem& problem);

// Keeps its memory from one problem to the next where it is large enough.
class Workload {
 public:
  // Untouched space on both sides of an output tensor. Far more than a tile's row overshoots.
  static constexpr int64_t kGuardBytes = 1 << 16;
  static constexpr uint8_t kPoison = 0xFF;  // as bf16, fp16 or fp32: a NaN that no kernel makes

  // Work on `stream`, of `context`; both are borrowed.
  Workload(const Context& context, CUstream_st* stream) : context_(context), stream_(stream) {}

  // ResourceExhausted when the device has no room for the problem; InvalidArgument from
  // DrawRouting. Any other error means that the device does not work.
  absl::Status Load(const Problem& problem, uint64_t seed, const Histograms& histograms);

  // Writes the inputs and the draws anew, for a kernel that may have written over them.
  absl::Status Refill();

  const HostWorkload& host() const { return host_; }
  MoeArgs Args(int draw) const;

  absl::Status PoisonOutput();  // guards and the workspace included; enqueued

  // Hands out the output with its guards in consecutive pieces, until `consume` returns false. The
  // next piece is on its way meanwhile.
  using Consume = std::function<bool(std::span<const uint8_t> piece)>;
  absl::Status ReadOutput(const Consume& consume);
  int64_t OutputBytes() const;  // guards included

  // The output with its guards as it stands, into a buffer of the device of so many bytes; an empty
  // one is allocated first. Enqueued. ResourceExhausted when there is no room for it.
  absl::Status CopyOutput(Buffer& copy);
  DeviceAddress output() const { return y_.address(); }

 private:
  struct DrawBuffers {
    Buffer counts, index, weights;
  };

  absl::Status Reserve(Buffer& buffer, int64_t bytes, const char* what);
  absl::Status ReserveTensors();
  absl::Status LoadDraw(size_t draw);

  const Context& context_;
  CUstream_st* stream_;
  HostWorkload host_;
  Buffer x_, w_, y_, workspace_;
  std::vector<DrawBuffers> draws_;
  std::array<LockedBuffer, 2> pieces_;  // of the output: one is filled, the other one consumed
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_WORKLOAD_H_
