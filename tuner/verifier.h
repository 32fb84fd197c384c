// Verifier: no kernel is timed before its output was found right, on every draw of the workload.
//
// The first kernel of a family, for a problem, is compared by tolerance: that of `reference` with
// sampled products computed on the host in double, that of another family with all rows of
// `reference`. What it wrote is kept, and every other config of the family has to write the same
// bits. The device itself finds out whether it did; what differs is read back, for the complaint.
#ifndef MOETUNE_TUNER_VERIFIER_H_
#define MOETUNE_TUNER_VERIFIER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/comparison.h"
#include "runtime/kernel.h"
#include "tuner/output_check.h"
#include "tuner/timer.h"
#include "tuner/workload.h"

namespace moetune {

class Verifier {
 public:
  // The family that runs every problem, and that all others are compared with.
  static constexpr std::string_view kReference = "reference";

  // Makes the one launch that it is given, and may take its time.
  using Launcher = std::function<absl::Status(const Enqueue&)>;

  // Both are borrowed.
  Verifier(Workload& workload, const Stream& stream) : workload_(workload), stream_(stream) {}

  // From now on outputs are compared on the device, as far as it has room for what is expected;
  // without it, or room, on the host. The answers are the same.
  void UseComparison(Comparison comparison) { comparison_.emplace(std::move(comparison)); }

  // To be called before the workload loads another problem: frees memory of the device.
  void Forget() { expected_.clear(); }

  // Whether a kernel of this family has been found right already.
  bool Knows(const Family& family) const { return expected_.contains(family.name); }

  // What is wrong with the output of `kernel`, if anything. An error is the driver's: the launch
  // was refused, or has broken the context. `launcher` is called for each draw, in their order.
  absl::StatusOr<Complaint> Verify(
      const LoadedKernel& kernel, uint64_t seed,
      const Launcher& launcher = [](const Enqueue& launch) { return launch(); });

 private:
  using Output = std::vector<uint8_t>;

  // What a draw gives, and the same on the device; empty where it is not kept there.
  struct Expected {
    Output bytes;
    Buffer copy;
  };

  absl::Status Run(const LoadedKernel& kernel, int draw, const Launcher& launcher);
  absl::StatusOr<Complaint> CompareBits(Expected& expected);
  absl::StatusOr<bool> IsCopy(const Buffer& copy) const;
  absl::Status KeepCopy(Buffer& copy);
  absl::StatusOr<Output> ReadAll();
  Complaint Judge(int draw, const Output& output, uint64_t seed) const;

  Workload& workload_;
  const Stream& stream_;
  std::optional<Comparison> comparison_;
  std::map<std::string_view, std::vector<Expected>> expected_;  // by family, of each draw
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_VERIFIER_H_
