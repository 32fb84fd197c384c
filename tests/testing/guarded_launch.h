// The arguments of a forward launch in host memory, laid out so that a kernel which reads or writes
// what it should not shows: guard zones around the output, unmapped memory behind the inputs, NaN
// in all of them that no routed row needs.
#ifndef MOETUNE_TESTS_TESTING_GUARDED_LAUNCH_H_
#define MOETUNE_TESTS_TESTING_GUARDED_LAUNCH_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/device/args.h"
#include "kernels/problem.h"
#include "kernels/source.h"

namespace moetune {

// The rows of each expert, and the sizes around them.
struct Layout {
  std::vector<int64_t> counts;
  int64_t tokens = 0;
  int64_t top_k = 1;
  int64_t rows = 0;  // the launch's capacity: may be more than the sum of the counts
  int64_t n = 0;
  int64_t k = 0;

  int64_t RoutedRows() const;
};

// Many empty experts, one of a single row, ragged ones; now and then one rank's share of the routed
// rows, and capacity that no expert fills.
Layout RandomLayout(std::mt19937& random);

// The dtypes and fusions of `kind` with the sizes of `layout`; n one more where it must be even.
Problem ProblemFor(const Shape& kind, const Layout& layout);

// Bytes between two guard zones, all of one fill to start with.
class GuardedBytes {
 public:
  GuardedBytes(int64_t size, unsigned char fill);

  void* data() { return bytes_.data() + kGuard; }
  const void* data() const { return bytes_.data() + kGuard; }
  bool operator==(const GuardedBytes&) const = default;  // guard zones too

 private:
  static constexpr size_t kGuard = 128 * 1024;  // more than a stray tile
  std::vector<unsigned char> bytes_;
};

// Bytes that end where unmapped memory begins: a read past them is a fault. All of one fill to
// start with.
class FencedBytes {
 public:
  FencedBytes(int64_t size, unsigned char fill);
  ~FencedBytes();
  FencedBytes(const FencedBytes&) = delete;
  FencedBytes& operator=(const FencedBytes&) = delete;

  void* data() { return data_; }
  const void* data() const { return data_; }

 private:
  void* mapping_;
  size_t mapped_bytes_;
  unsigned char* data_;
};

class GuardedLaunch {
 public:
  // Random values of very different sizes, so that a sum depends on its order.
  GuardedLaunch(const Shape& kind, const ArgTypes& types, const Layout& layout, uint32_t seed);

  // An output where nothing is written yet, y and after it preact, and the arguments of a launch
  // that writes to it; they borrow from both.
  GuardedBytes PoisonedOutput() const;
  MoeArgs Args(GuardedBytes& y);

  // What a launch should leave there: one fused multiply-add in fp32 after the other, k ascending,
  // then the roundings of the op. Whatever no routed row owns stays poisoned.
  GuardedBytes Expected() const;

  // Rows are counted in expert order here.
  void SetX(int64_t row, int64_t k, float value);
  void SetW(int64_t expert, int64_t n, int64_t k, float value);
  float Y(const GuardedBytes& y, int64_t row, int64_t n) const;

 private:
  int64_t SourceRow(int64_t row) const;
  int64_t TargetRow(int64_t row) const;
  int64_t YBytes() const;
  void Finish(int64_t row, const std::vector<float>& sums, GuardedBytes& y,
              std::vector<float>& slots) const;
  Dtype ScaleDtype() const;
  void FillRow(int64_t row);
  void FillWeights(int64_t expert);
  void SetIndex(FencedBytes& array, int64_t i, int64_t value) const;
  std::vector<float> Row(const FencedBytes& array, int64_t row) const;

  Problem problem_;
  Shape shape_;
  ArgTypes types_;
  Layout layout_;
  FencedBytes x_, w_, row_counts_, row_index_, scale_, workspace_;
  std::vector<int64_t> slot_of_row_;  // of the routed rows
  std::mt19937 random_;
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_GUARDED_LAUNCH_H_
