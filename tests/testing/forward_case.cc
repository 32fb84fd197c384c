#include "tests/testing/forward_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"
#include "tests/testing/host_reference.h"

namespace moetune {
namespace {

constexpr uint8_t kPoison = 0xff;  // a NaN in every dtype

using Bytes = std::vector<uint8_t>;

Bytes RandomElements(Dtype dtype, int64_t count, float deviation, std::mt19937_64& random) {
  Bytes bytes(static_cast<size_t>(count * DtypeBytes(dtype)));
  std::normal_distribution<float> normal(0, deviation);
  for (int64_t i = 0; i < count; ++i) WriteElement(bytes.data(), dtype, i, normal(random));
  return bytes;
}

Bytes Indices(const std::vector<int64_t>& values, bool index64) {
  Bytes bytes(values.size() * (index64 ? 8 : 4));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto narrow = static_cast<int32_t>(values[i]);
    if (index64) std::memcpy(&bytes[8 * i], &values[i], 8);
    if (!index64) std::memcpy(&bytes[4 * i], &narrow, 4);
  }
  return bytes;
}

std::vector<int64_t> RandomCounts(const Problem& problem, std::mt19937_64& random) {
  const int64_t experts = problem.shape.experts;
  std::vector<int64_t> counts(static_cast<size_t>(experts));
  std::uniform_int_distribution<int64_t> expert(experts > 1 ? 1 : 0, experts - 1);
  for (int64_t row = 0; row < problem.rows; ++row) ++counts[static_cast<size_t>(expert(random))];
  return counts;
}

// `rows` different slots out of all, in random order.
std::vector<int64_t> RandomSlots(const Problem& problem, std::mt19937_64& random) {
  std::vector<int64_t> slots(static_cast<size_t>(problem.tokens * problem.shape.top_k));
  std::iota(slots.begin(), slots.end(), 0);
  std::ranges::shuffle(slots, random);
  slots.resize(static_cast<size_t>(problem.rows));
  return slots;
}

struct Tolerance {
  double row;      // relative error of a row
  double element;  // of |reference| and of the row's root mean square
  double terms;    // size of what was summed, which may cancel
};

Tolerance ToleranceOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBf16:
      return {6e-3, 0x1p-7, 0.01};
    case Dtype::kFp16:
      return {6e-3 / 8, 0x1p-10, 0.01};
    case Dtype::kFp32:
      break;
  }
  return {1e-4, 1e-4, 0.1};
}

bool IsPoison(const uint8_t* row, size_t bytes) {
  return std::all_of(row, row + bytes, [](uint8_t byte) { return byte == kPoison; });
}

absl::Status CheckRow(const double* expected, const std::vector<double>& actual, int64_t row,
                      const Tolerance& tolerance) {
  double square = 0, error_square = 0;
  for (size_t n = 0; n < actual.size(); ++n) {
    square += expected[n] * expected[n];
    error_square += (actual[n] - expected[n]) * (actual[n] - expected[n]);
  }
  const auto count = static_cast<double>(actual.size());
  const double rms = std::sqrt(square / count);
  for (size_t n = 0; n < actual.size(); ++n) {
    const double limit = tolerance.element * (std::fabs(expected[n]) + rms + tolerance.terms);
    if (std::fabs(actual[n] - expected[n]) <= limit) continue;
    return absl::DataLossError(
        absl::StrFormat("y[%d, %d] is %g, expected %g", row, n, actual[n], expected[n]));
  }
  constexpr size_t kAveraging = 16;  // in shorter rows roundings do not average out
  if (actual.size() < kAveraging) return absl::OkStatus();
  if (std::sqrt(error_square / count) <= tolerance.row * (rms + tolerance.terms)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrFormat("row %d of y is too far off", row));
}

}  // namespace

absl::StatusOr<const void*> ForwardCase::Upload(const Bytes& bytes) {
  ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(*driver_, bytes.size()));
  if (!bytes.empty()) {
    RETURN_IF_ERROR(DriverStatus(
        *driver_, driver_->copy_to_device(buffer.address(), bytes.data(), bytes.size()), "upload"));
  }
  buffers_.push_back(std::move(buffer));
  return buffers_.back().pointer();
}

absl::StatusOr<ForwardCase> ForwardCase::Create(const DriverApi& driver, const Problem& problem,
                                                const ForwardCaseOptions& options) {
  const Shape& shape = problem.shape;
  std::mt19937_64 random(options.seed);
  ForwardCase c;
  c.driver_ = &driver;
  c.problem_ = problem;
  c.types_ = options.types;
  const int64_t x_rows = shape.Has(kGather) ? problem.tokens : problem.rows;
  const float deviation = 1 / std::sqrt(static_cast<float>(shape.k));
  c.x_ = RandomElements(shape.dtype, x_rows * shape.k, 1, random);
  c.w_ = RandomElements(shape.dtype, shape.experts * shape.n * shape.k, deviation, random);
  c.scale_ = RandomElements(options.types.scale_fp32 ? Dtype::kFp32 : shape.dtype,
                            problem.tokens * shape.top_k, 1, random);
  c.row_counts_ =
      Indices(options.row_counts.empty() ? RandomCounts(problem, random) : options.row_counts,
              options.types.index64);
  c.row_index_ = Indices(RandomSlots(problem, random), options.types.index64);

  MoeArgs& host = c.host_args_;
  host.tokens = problem.tokens;
  host.rows = problem.rows;
  host.experts = shape.experts;
  host.top_k = shape.top_k;
  host.n = shape.n;
  host.k = shape.k;
  if (shape.Has(kCombine)) c.ForgetUnroutedSlots();
  const int64_t element = DtypeBytes(shape.output);
  c.y_bytes_ = OutputRows(problem) * OutputColumns(shape) * element;
  const int64_t preact_bytes = shape.Has(kPreact) ? problem.rows * shape.n * element : 0;
  c.y_.assign(static_cast<size_t>(c.y_bytes_ + preact_bytes), kPoison);

  MoeArgs& device = c.device_args_;
  device = host;
  ASSIGN_OR_RETURN(device.x, c.Upload(c.x_));
  ASSIGN_OR_RETURN(device.w, c.Upload(c.w_));
  ASSIGN_OR_RETURN(device.row_counts, c.Upload(c.row_counts_));
  ASSIGN_OR_RETURN(device.row_index, c.Upload(c.row_index_));
  ASSIGN_OR_RETURN(device.scale, c.Upload(c.scale_));
  if (shape.Has(kCombine)) {
    const Bytes poison(static_cast<size_t>(WorkspaceBytes(problem)), kPoison);
    ASSIGN_OR_RETURN(const void* workspace, c.Upload(poison));
    device.workspace = const_cast<void*>(workspace);
  }
  ASSIGN_OR_RETURN(const void* y, c.Upload(c.y_));
  device.y = const_cast<void*>(y);
  device.preact = preact_bytes > 0 ? static_cast<uint8_t*>(device.y) + c.y_bytes_ : nullptr;
  c.y_address_ = c.buffers_.back().address();
  return c;
}

absl::StatusOr<std::vector<uint8_t>> ForwardCase::ReadOutput() const {
  Bytes y(y_.size());
  RETURN_IF_ERROR(
      DriverStatus(*driver_, driver_->copy_to_host(y.data(), y_address_, y.size()), "download"));
  return y;
}

// Those that are in no row get weight zero, as combine needs it.
void ForwardCase::ForgetUnroutedSlots() {
  const Dtype dtype = types_.scale_fp32 ? Dtype::kFp32 : problem_.shape.dtype;
  const auto read = [&](const Bytes& array, int64_t i) {
    return types_.index64 ? reinterpret_cast<const int64_t*>(array.data())[i]
                          : reinterpret_cast<const int32_t*>(array.data())[i];
  };
  std::vector<float> weights(static_cast<size_t>(problem_.tokens * problem_.shape.top_k));
  int64_t routed = 0;
  for (int64_t e = 0; e < problem_.shape.experts; ++e) routed += read(row_counts_, e);
  for (int64_t row = 0; row < routed; ++row) {
    const int64_t slot = read(row_index_, row);
    weights[static_cast<size_t>(slot)] = ReadElement(scale_.data(), dtype, slot);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    WriteElement(scale_.data(), dtype, static_cast<int64_t>(i), weights[i]);
  }
}

absl::Status ForwardCase::CheckOutput() const {
  ASSIGN_OR_RETURN(const Bytes y, ReadOutput());
  Shape kind = problem_.shape;
  RETURN_IF_ERROR(CheckTensor(kind, y.data()));
  if (!kind.Has(kPreact)) return absl::OkStatus();
  kind.fusions &= ~(kSwiglu | kPreact);  // what is left gives gate and up
  return CheckTensor(kind, y.data() + y_bytes_);
}

// Products are normal with variance 1, and hardly ever more than three.
double ForwardCase::TermsOfToken(int64_t token) const {
  const Dtype dtype = types_.scale_fp32 ? Dtype::kFp32 : problem_.shape.dtype;
  const int64_t top_k = problem_.shape.top_k;
  double sum = 0;
  for (int64_t j = 0; j < top_k; ++j) {
    sum += std::fabs(ReadElement(scale_.data(), dtype, token * top_k + j));
  }
  return 3 * sum;
}

absl::Status ForwardCase::CheckTensor(const Shape& kind, const uint8_t* tensor) const {
  MoeArgs host = host_args_;
  host.x = x_.data();
  host.w = w_.data();
  host.row_counts = row_counts_.data();
  host.row_index = row_index_.data();
  host.scale = scale_.data();
  const std::vector<double> expected = ExactForward(kind, types_, host);

  const auto columns = static_cast<size_t>(OutputColumns(kind));
  const size_t row_bytes = columns * static_cast<size_t>(DtypeBytes(kind.output));
  std::vector<double> actual(columns);
  for (size_t row = 0; row < expected.size() / columns; ++row) {
    const uint8_t* bytes = tensor + row * row_bytes;
    const double* reference = &expected[row * columns];
    if (std::isnan(reference[0])) {
      if (IsPoison(bytes, row_bytes)) continue;
      return absl::DataLossError(absl::StrFormat("row %d of y is no output, but written", row));
    }
    for (size_t n = 0; n < actual.size(); ++n) {
      actual[n] = ReadElement(bytes, kind.output, static_cast<int64_t>(n));
    }
    Tolerance tolerance = ToleranceOf(kind.output);
    if (kind.Has(kCombine)) tolerance.terms += TermsOfToken(static_cast<int64_t>(row));
    RETURN_IF_ERROR(CheckRow(reference, actual, static_cast<int64_t>(row), tolerance));
  }
  return absl::OkStatus();
}

}  // namespace moetune
