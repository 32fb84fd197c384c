#include "tuner/output_check.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

#include "absl/strings/str_format.h"
#include "tuner/element.h"
#include "tuner/random.h"

namespace moetune {
namespace {

// Multiply-adds of a sampled check: about 0.3 s on four cores.
constexpr int64_t kSampleWork = 600'000'000;
constexpr int64_t kLeastColumns = 128;  // of a sampled row, as far as it has them
constexpr int64_t kOtherRows = 64;      // sampled beside the first and last rows
constexpr unsigned kMaxThreads = 8;
constexpr size_t kChunkBytes = size_t{4} << 20;  // that one thread compares: ever whole elements

// Columns over which roundings average out; the error of a shorter row may be that of one element.
constexpr size_t kAveraging = 16;

// What was written before the first of the output's tensors, and before the second.
constexpr const char* kOutside[] = {"wrote before the output's start",
                                    "wrote between the output's tensors"};
constexpr const char* kPastTheEnd = "wrote past the output's end";

// Complaints of a tensor beside y name it.
Complaint InTensor(Complaint complaint, const OutputTensor& tensor) {
  if (complaint && tensor.name != "y") {
    *complaint = absl::StrFormat("%s: %s", tensor.name, *complaint);
  }
  return complaint;
}

bool IsPoison(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](uint8_t byte) { return byte == Workload::kPoison; });
}

// The first element that is all poison, or -1.
int64_t FindPoison(std::span<const uint8_t> row, int64_t element_bytes) {
  for (size_t at = 0; at < row.size(); at += element_bytes) {
    if (IsPoison(row.subspan(at, element_bytes))) return static_cast<int64_t>(at) / element_bytes;
  }
  return -1;
}

int64_t ExpertOfRow(const RoutingDraw& draw, int64_t row) {
  int64_t expert = 0;
  for (; row >= draw.counts[expert]; ++expert) row -= draw.counts[expert];
  return expert;
}

// The first and last row of every expert, and some more, each once and in ascending order.
std::vector<int64_t> SampleRows(const RoutingDraw& draw, int64_t most, Random& random) {
  std::vector<int64_t> rows;
  int64_t begin = 0;
  for (int32_t count : draw.counts) {
    if (count > 0) rows.insert(rows.end(), {begin, begin + count - 1});
    begin += count;
  }
  for (int64_t i = 0; i < kOtherRows && begin > 0; ++i) {
    rows.push_back(static_cast<int64_t>(random.Below(begin)));
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  if (static_cast<int64_t>(rows.size()) > most) {
    random.Shuffle(std::span(rows));
    rows.resize(most);
  }
  return rows;
}

// The first, the last and evenly spread columns, from a random one on.
std::vector<int64_t> SampleColumns(int64_t n, int64_t most, Random& random) {
  std::vector<int64_t> columns;
  if (n <= most) {
    columns.resize(n);
    std::iota(columns.begin(), columns.end(), 0);
    return columns;
  }
  const auto start = static_cast<int64_t>(random.Below(n));
  for (int64_t i = 0; i < most - 2; ++i) columns.push_back((start + i * n / (most - 2)) % n);
  columns.insert(columns.end(), {0, n - 1});
  return columns;
}

// The products of an expert-sorted row with rows of its expert's weights, in double.
std::vector<double> Multiply(const HostWorkload& workload, const RoutingDraw& draw, int64_t row,
                             std::span<const int64_t> w_rows) {
  const Shape& shape = workload.problem.shape;
  const int64_t expert = ExpertOfRow(draw, row);
  const int64_t x_row = shape.Has(kGather) ? draw.index[row] / shape.top_k : row;
  std::vector<float> x(shape.k), w(shape.k);
  std::vector<double> products;
  workload.x.Read(x_row * shape.k, x);
  for (int64_t w_row : w_rows) {
    workload.w.Read((expert * shape.n + w_row) * shape.k, w);
    // Four sums in place of one: a chain of additions would wait for itself.
    double sums[4] = {};
    for (int64_t j = 0; j < shape.k; ++j) sums[j % 4] += static_cast<double>(x[j]) * w[j];
    products.push_back(sums[0] + sums[1] + sums[2] + sums[3]);
  }
  return products;
}

// Some columns of a row of an output tensor beside what they should be.
Complaint CompareColumns(Dtype dtype, std::span<const uint8_t> output, const OutputTensor& tensor,
                         int64_t row, std::span<const int64_t> columns,
                         std::span<const double> expected, double more_terms = 0) {
  std::vector<float> actual;
  for (int64_t column : columns) {
    actual.push_back(
        LoadElement(dtype, output.data() + tensor.offset, row * tensor.columns + column));
  }
  Tolerance tolerance = ToleranceOf(dtype);
  tolerance.terms += more_terms;
  return InTensor(CompareRow(actual, expected, tolerance), tensor);
}

// One sampled row of y, `row` being that in expert order; not with combine.
Complaint CheckSampledRow(const HostWorkload& workload, int draw_number, int64_t row,
                          std::span<const int64_t> columns, std::span<const uint8_t> output) {
  const Problem& problem = workload.problem;
  const Shape& shape = problem.shape;
  const RoutingDraw& draw = workload.draws[draw_number];
  const std::vector<OutputTensor> tensors = OutputTensors(problem);
  std::vector<double> expected = Multiply(workload, draw, row, columns);
  Complaint complaint;
  if (shape.Has(kSwiglu)) {
    std::vector<int64_t> up_rows(columns.begin(), columns.end());
    for (int64_t& up_row : up_rows) up_row += shape.n / 2;
    const std::vector<double> up = Multiply(workload, draw, row, up_rows);
    if (shape.Has(kPreact)) {
      const OutputTensor& preact = tensors.back();
      complaint = CompareColumns(shape.output, output, preact, row, columns, expected);
      if (!complaint) complaint = CompareColumns(shape.output, output, preact, row, up_rows, up);
    }
    for (size_t i = 0; i < up.size(); ++i) expected[i] *= up[i] / (1 + std::exp(-expected[i]));
  }
  const int64_t slot = draw.index[row];
  if (shape.Has(kScale)) {
    for (double& value : expected) value *= draw.weights[slot];
  }
  const int64_t y_row = shape.Has(kScatter) ? slot : row;
  if (!complaint) {
    complaint = CompareColumns(shape.output, output, tensors.front(), y_row, columns, expected);
  }
  if (complaint) {
    *complaint =
        absl::StrFormat("row %d of expert %d: %s", y_row, ExpertOfRow(draw, row), *complaint);
  }
  return complaint;
}

// The size of what combine sums for a token: products are normal with variance 1, and hardly ever
// more than three.
double TermsOfToken(const Problem& problem, const RoutingDraw& draw, int64_t token) {
  const int64_t top_k = problem.shape.top_k;
  double sum = 0;
  for (int64_t j = 0; j < top_k; ++j) sum += draw.weights[token * top_k + j];
  return 3 * sum;
}

// One sampled row of y with combine: the weighted sum over the rows of a token.
Complaint CheckSampledToken(const HostWorkload& workload, int draw_number, int64_t token,
                            std::span<const int64_t> columns, std::span<const uint8_t> output) {
  const Shape& shape = workload.problem.shape;
  const RoutingDraw& draw = workload.draws[draw_number];
  std::vector<double> expected(columns.size());
  const int64_t routed = draw.RoutedRows();
  for (int64_t row = 0; row < routed; ++row) {
    const int64_t slot = draw.index[row];
    if (slot / shape.top_k != token) continue;
    const std::vector<double> products = Multiply(workload, draw, row, columns);
    for (size_t i = 0; i < products.size(); ++i) expected[i] += draw.weights[slot] * products[i];
  }
  const OutputTensor y = OutputTensors(workload.problem).front();
  Complaint complaint = CompareColumns(shape.output, output, y, token, columns, expected,
                                       TermsOfToken(workload.problem, draw, token));
  if (complaint) *complaint = absl::StrFormat("token %d: %s", token, *complaint);
  return complaint;
}

// The tokens of sampled rows, and some that may have no row.
std::vector<int64_t> SampleTokens(const Problem& problem, const RoutingDraw& draw,
                                  std::span<const int64_t> rows, Random& random) {
  std::vector<int64_t> tokens;
  for (int64_t row : rows) tokens.push_back(draw.index[row] / problem.shape.top_k);
  for (size_t i = rows.size(); i > 0; i /= 2) {
    tokens.push_back(static_cast<int64_t>(random.Below(problem.tokens)));
  }
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

// The complaint of the first index that has one. `check` runs on several threads.
template <typename Check>
Complaint CheckEach(size_t count, const Check& check) {
  std::vector<Complaint> complaints(count);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) complaints[i] = check(i);
  };
  {
    std::vector<std::jthread> threads;
    const size_t helpers =
        std::min<size_t>({kMaxThreads, std::thread::hardware_concurrency(), count});
    for (size_t i = 1; i < helpers; ++i) threads.emplace_back(work);
    work();
  }
  for (Complaint& complaint : complaints) {
    if (complaint) return std::move(complaint);
  }
  return std::nullopt;
}

}  // namespace

Tolerance ToleranceOf(Dtype output) {
  switch (output) {
    case Dtype::kBf16:
      return {.row = 6e-3, .element = 0x1p-7, .terms = 0.01};
    case Dtype::kFp16:
      return {.row = 6e-3 / 8, .element = 0x1p-10, .terms = 0.01};
    case Dtype::kFp32:
      return {.row = 1e-4, .element = 1e-4, .terms = 0.1};
  }
  return {};
}

Tolerance ToleranceOfTwo(Dtype output) {
  const Tolerance one = ToleranceOf(output);
  return {.row = 2 * one.row, .element = 2 * one.element, .terms = one.terms};
}

Complaint CompareRow(std::span<const float> actual, std::span<const double> expected,
                     const Tolerance& tolerance) {
  double norm = 0;
  double error = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    norm += expected[i] * expected[i];
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
  }
  const auto count = static_cast<double>(expected.size());
  const double rms = std::sqrt(norm / count);
  for (size_t i = 0; i < expected.size(); ++i) {
    const double distance = std::abs(actual[i] - expected[i]);
    // Written so that a NaN, which compares false with everything, is found too.
    if (!(distance <= tolerance.element * (std::abs(expected[i]) + rms + tolerance.terms))) {
      return absl::StrFormat("%g in place of %g", actual[i], expected[i]);
    }
  }
  if (expected.size() < kAveraging) return std::nullopt;
  if (!(std::sqrt(error / count) <= tolerance.row * (rms + tolerance.terms))) {
    return absl::StrFormat("relative error %.2e, allowed is %.2e", std::sqrt(error / norm),
                           tolerance.row);
  }
  return std::nullopt;
}

std::vector<bool> WrittenRows(const Problem& problem, const RoutingDraw& draw) {
  std::vector<bool> written(OutputRows(problem), problem.shape.Has(kCombine));
  if (problem.shape.Has(kCombine)) return written;
  const int64_t routed = draw.RoutedRows();
  for (int64_t row = 0; row < routed; ++row) {
    written[problem.shape.Has(kScatter) ? draw.index[row] : row] = true;
  }
  return written;
}

Complaint CheckWritten(const HostWorkload& workload, int draw, std::span<const uint8_t> output) {
  const int64_t element_bytes = DtypeBytes(workload.problem.shape.output);
  const std::vector<OutputTensor> tensors = OutputTensors(workload.problem);
  int64_t end = 0;
  for (const OutputTensor& tensor : tensors) {
    if (!IsPoison(output.subspan(end, tensor.offset - end))) return kOutside[end != 0];
    end = tensor.offset + tensor.bytes;
  }
  if (!IsPoison(output.subspan(end))) return kPastTheEnd;

  const std::vector<bool> written = WrittenRows(workload.problem, workload.draws[draw]);
  const auto check = [&](const OutputTensor& tensor, size_t row) -> Complaint {
    const int64_t row_bytes = tensor.columns * element_bytes;
    const std::span<const uint8_t> bytes =
        output.subspan(tensor.offset + static_cast<int64_t>(row) * row_bytes, row_bytes);
    if (!written[row]) {
      if (IsPoison(bytes)) return std::nullopt;
      return absl::StrFormat("row %d was written, but belongs to no expert", row);
    }
    const int64_t column = FindPoison(bytes, element_bytes);
    if (column < 0) return std::nullopt;
    return absl::StrFormat("row %d, column %d was not written", row, column);
  };
  for (const OutputTensor& tensor : tensors) {
    Complaint complaint = CheckEach(written.size(), [&](size_t row) { return check(tensor, row); });
    if (complaint) return InTensor(std::move(complaint), tensor);
  }
  return std::nullopt;
}

Complaint CheckSample(const HostWorkload& workload, int draw, std::span<const uint8_t> output,
                      uint64_t seed) {
  const Shape& shape = workload.problem.shape;
  const bool combine = shape.Has(kCombine);
  const int64_t n = OutputColumns(shape);
  // Products that an element takes.
  const int64_t cost = combine ? shape.top_k : shape.Has(kSwiglu) ? 2 : 1;
  const int64_t elements = std::max<int64_t>(kSampleWork / shape.k / cost, 1);
  Random random{seed, static_cast<uint64_t>(draw)};
  std::vector<int64_t> rows = SampleRows(
      workload.draws[draw], std::max<int64_t>(elements / std::min(n, kLeastColumns), 1), random);
  if (rows.empty()) return std::nullopt;
  if (combine) rows = SampleTokens(workload.problem, workload.draws[draw], rows, random);
  const int64_t most =
      std::max(elements / static_cast<int64_t>(rows.size()), std::min<int64_t>(n, 3));
  std::vector<std::vector<int64_t>> columns;
  for (size_t i = 0; i < rows.size(); ++i) columns.push_back(SampleColumns(n, most, random));
  const auto check = combine ? CheckSampledToken : CheckSampledRow;
  return CheckEach(rows.size(),
                   [&](size_t i) { return check(workload, draw, rows[i], columns[i], output); });
}

Complaint CheckClose(const HostWorkload& workload, int draw, std::span<const uint8_t> expected,
                     std::span<const uint8_t> output) {
  const Dtype dtype = workload.problem.shape.output;
  const bool combine = workload.problem.shape.Has(kCombine);
  const std::vector<bool> written = WrittenRows(workload.problem, workload.draws[draw]);
  const auto check = [&](const OutputTensor& tensor, size_t row) -> Complaint {
    if (!written[row]) return std::nullopt;
    std::vector<float> reference(tensor.columns), actual(tensor.columns);
    const auto first = static_cast<int64_t>(row) * tensor.columns;
    LoadElements(dtype, expected.data() + tensor.offset, first, reference);
    LoadElements(dtype, output.data() + tensor.offset, first, actual);
    const std::vector<double> precise(reference.begin(), reference.end());
    Tolerance tolerance = ToleranceOfTwo(dtype);
    if (combine) {
      tolerance.terms +=
          TermsOfToken(workload.problem, workload.draws[draw], static_cast<int64_t>(row));
    }
    Complaint complaint = CompareRow(actual, precise, tolerance);
    if (complaint) *complaint = absl::StrFormat("row %d: %s", row, *complaint);
    return complaint;
  };
  for (const OutputTensor& tensor : OutputTensors(workload.problem)) {
    Complaint complaint = CheckEach(written.size(), [&](size_t row) { return check(tensor, row); });
    if (complaint) return InTensor(std::move(complaint), tensor);
  }
  return std::nullopt;
}

namespace {

Complaint CheckEqualChunk(const Problem& problem, int64_t offset, std::span<const uint8_t> expected,
                          std::span<const uint8_t> piece) {
  if (std::memcmp(expected.data(), piece.data(), piece.size()) == 0) return std::nullopt;
  const Dtype dtype = problem.shape.output;
  const auto mismatch = std::mismatch(piece.begin(), piece.end(), expected.begin());
  const int64_t place = offset + (mismatch.first - piece.begin());
  int64_t end = 0;
  for (const OutputTensor& tensor : OutputTensors(problem)) {
    if (place < tensor.offset) return kOutside[end != 0];
    end = tensor.offset + tensor.bytes;
    if (place >= end) continue;
    const int64_t element = (place - tensor.offset) / DtypeBytes(dtype);
    const int64_t start = tensor.offset + element * DtypeBytes(dtype) - offset;
    return InTensor(
        absl::StrFormat("row %d, column %d: %g in place of %g", element / tensor.columns,
                        element % tensor.columns, LoadElement(dtype, piece.data() + start, 0),
                        LoadElement(dtype, expected.data() + start, 0)),
        tensor);
  }
  return kPastTheEnd;
}

}  // namespace

Complaint CheckEqual(const Problem& problem, int64_t offset, std::span<const uint8_t> expected,
                     std::span<const uint8_t> piece) {
  const size_t chunks = (piece.size() + kChunkBytes - 1) / kChunkBytes;
  return CheckEach(chunks, [&](size_t i) {
    const size_t begin = i * kChunkBytes;
    const size_t bytes = std::min(kChunkBytes, piece.size() - begin);
    return CheckEqualChunk(problem, offset + static_cast<int64_t>(begin),
                           expected.subspan(begin, bytes), piece.subspan(begin, bytes));
  });
}

}  // namespace moetune
