// ForwardCase: a forward problem with random data in device memory, and the check of what a launch
// made of it. For any driver, fake or real.
#ifndef MOETUNE_TESTS_TESTING_FORWARD_CASE_H_
#define MOETUNE_TESTS_TESTING_FORWARD_CASE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device/args.h"
#include "kernels/problem.h"
#include "kernels/source.h"
#include "runtime/device.h"

namespace moetune {

struct ForwardCaseOptions {
  ArgTypes types;
  uint64_t seed = 1;
  std::vector<int64_t> row_counts;  // of each expert; empty: random, the first expert has none
};

class ForwardCase {
 public:
  // In the current context. y starts poisoned.
  static absl::StatusOr<ForwardCase> Create(const DriverApi& driver, const Problem& problem,
                                            const ForwardCaseOptions& options = {});

  const MoeArgs& args() const { return device_args_; }

  // OK when y, and preact, hold the product within the tolerance of its dtype, and the poison
  // wherever a launch has nothing to write. The launch must have ended.
  absl::Status CheckOutput() const;

  // The bytes of y as they are now, and those of preact after them.
  absl::StatusOr<std::vector<uint8_t>> ReadOutput() const;

 private:
  using Bytes = std::vector<uint8_t>;

  ForwardCase() = default;
  absl::StatusOr<const void*> Upload(const Bytes& bytes);
  void ForgetUnroutedSlots();
  double TermsOfToken(int64_t token) const;  // the size of what combine sums for it
  absl::Status CheckTensor(const Shape& kind, const uint8_t* bytes) const;

  const DriverApi* driver_ = nullptr;
  Problem problem_;
  ArgTypes types_;
  Bytes x_, w_, row_counts_, row_index_, scale_;
  Bytes y_;  // and preact
  std::vector<Buffer> buffers_;
  DeviceAddress y_address_ = 0;
  int64_t y_bytes_ = 0;  // without preact
  MoeArgs host_args_ = {};
  MoeArgs device_args_ = {};
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FORWARD_CASE_H_
