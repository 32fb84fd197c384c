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

std::span<const uint8_t> Tensor(std::span<const uint8_t> output) {
  return output.subspan(Workload::kGuardBytes, output.size() - 2 * Workload::kGuardBytes);
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

// One sampled row: its products in double, compared with what the kernel wrote.
Complaint CheckSampledRow(const HostWorkload& workload, int draw_number, int64_t row,
                          const std::vector<int64_t>& columns, std::span<const uint8_t> tensor) {
  const Shape& shape = workload.problem.shape;
  const RoutingDraw& draw = workload.draws[draw_number];
  const int64_t slot = draw.index[row];
  const int64_t expert = ExpertOfRow(draw, row);
  const int64_t x_row = shape.Has(kGather) ? slot / shape.top_k : row;
  const int64_t y_row = shape.Has(kScatter) ? slot : row;
  const double scale = shape.Has(kScale) ? draw.weights[slot] : 1.0;

  std::vector<float> x(shape.k), w(shape.k), actual(columns.size());
  std::vector<double> expected(columns.size());
  workload.x.Read(x_row * shape.k, x);
  for (size_t i = 0; i < columns.size(); ++i) {
    workload.w.Read((expert * shape.n + columns[i]) * shape.k, w);
    // Four sums in place of one: a chain of additions would wait for itself.
    double sums[4] = {};
    for (int64_t j = 0; j < shape.k; ++j) sums[j % 4] += static_cast<double>(x[j]) * w[j];
    expected[i] = scale * (sums[0] + sums[1] + sums[2] + sums[3]);
    actual[i] = LoadElement(shape.output, tensor.data(), y_row * shape.n + columns[i]);
  }
  Complaint complaint = CompareRow(actual, expected, ToleranceOf(shape.output));
  if (complaint) *complaint = absl::StrFormat("row %d of expert %d: %s", y_row, expert, *complaint);
  return complaint;
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
      return {.row = 6e-3, .element = 0x1p-7};
    case Dtype::kFp16:
      return {.row = 6e-3 / 8, .element = 0x1p-10};
    case Dtype::kFp32:
      return {.row = 1e-4, .element = 1e-4};
  }
  return {};
}

Tolerance ToleranceOfTwo(Dtype output) {
  const Tolerance one = ToleranceOf(output);
  return {.row = 2 * one.row, .element = 2 * one.element};
}

Complaint CompareRow(std::span<const float> actual, std::span<const double> expected,
                     const Tolerance& tolerance) {
  double norm = 0;
  double error = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    norm += expected[i] * expected[i];
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
  }
  const double rms = std::sqrt(norm / static_cast<double>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    const double distance = std::abs(actual[i] - expected[i]);
    // Written so that a NaN, which compares false with everything, is found too.
    if (!(distance <= tolerance.element * (std::abs(expected[i]) + rms))) {
      return absl::StrFormat("%g in place of %g", actual[i], expected[i]);
    }
  }
  if (!(std::sqrt(error) <= tolerance.row * std::sqrt(norm))) {
    return absl::StrFormat("relative error %.2e, allowed is %.2e", std::sqrt(error / norm),
                           tolerance.row);
  }
  return std::nullopt;
}

std::vector<int64_t> RowSources(const Problem& problem, const RoutingDraw& draw) {
  std::vector<int64_t> sources(OutputRows(problem), -1);
  const int64_t routed = draw.RoutedRows();
  for (int64_t row = 0; row < routed; ++row) {
    sources[problem.shape.Has(kScatter) ? draw.index[row] : row] = row;
  }
  return sources;
}

Complaint CheckWritten(const HostWorkload& workload, int draw, std::span<const uint8_t> output) {
  const Shape& shape = workload.problem.shape;
  if (!IsPoison(output.first(Workload::kGuardBytes))) return "wrote before the output's start";
  if (!IsPoison(output.last(Workload::kGuardBytes))) return "wrote past the output's end";
  const std::span<const uint8_t> tensor = Tensor(output);
  const std::vector<int64_t> sources = RowSources(workload.problem, workload.draws[draw]);
  const int64_t element_bytes = DtypeBytes(shape.output);
  const int64_t row_bytes = shape.n * element_bytes;
  return CheckEach(sources.size(), [&](size_t row) -> Complaint {
    const std::span<const uint8_t> bytes = tensor.subspan(row * row_bytes, row_bytes);
    if (sources[row] < 0) {
      if (IsPoison(bytes)) return std::nullopt;
      return absl::StrFormat("row %d was written, but belongs to no expert", row);
    }
    const int64_t column = FindPoison(bytes, element_bytes);
    if (column < 0) return std::nullopt;
    return absl::StrFormat("row %d, column %d was not written", row, column);
  });
}

Complaint CheckSample(const HostWorkload& workload, int draw, std::span<const uint8_t> output,
                      uint64_t seed) {
  const Shape& shape = workload.problem.shape;
  const int64_t products = std::max<int64_t>(kSampleWork / shape.k, 1);
  const int64_t least_columns = std::min(shape.n, kLeastColumns);
  Random random{seed, static_cast<uint64_t>(draw)};
  const std::vector<int64_t> rows =
      SampleRows(workload.draws[draw], std::max<int64_t>(products / least_columns, 1), random);
  if (rows.empty()) return std::nullopt;
  const int64_t most =
      std::max(products / static_cast<int64_t>(rows.size()), std::min<int64_t>(shape.n, 3));
  std::vector<std::vector<int64_t>> columns;
  for (size_t i = 0; i < rows.size(); ++i) columns.push_back(SampleColumns(shape.n, most, random));
  return CheckEach(rows.size(), [&](size_t i) {
    return CheckSampledRow(workload, draw, rows[i], columns[i], Tensor(output));
  });
}

Complaint CheckClose(const HostWorkload& workload, int draw, std::span<const uint8_t> expected,
                     std::span<const uint8_t> output) {
  const Shape& shape = workload.problem.shape;
  const std::vector<int64_t> sources = RowSources(workload.problem, workload.draws[draw]);
  return CheckEach(sources.size(), [&](size_t row) -> Complaint {
    if (sources[row] < 0) return std::nullopt;
    std::vector<float> reference(shape.n), actual(shape.n);
    const auto first = static_cast<int64_t>(row) * shape.n;
    LoadElements(shape.output, Tensor(expected).data(), first, reference);
    LoadElements(shape.output, Tensor(output).data(), first, actual);
    const std::vector<double> precise(reference.begin(), reference.end());
    Complaint complaint = CompareRow(actual, precise, ToleranceOfTwo(shape.output));
    if (complaint) *complaint = absl::StrFormat("row %d: %s", row, *complaint);
    return complaint;
  });
}

Complaint CheckEqual(const Problem& problem, int64_t offset, std::span<const uint8_t> expected,
                     std::span<const uint8_t> piece) {
  if (std::memcmp(expected.data(), piece.data(), piece.size()) == 0) return std::nullopt;
  const Shape& shape = problem.shape;
  const int64_t element_bytes = DtypeBytes(shape.output);
  const auto mismatch = std::mismatch(piece.begin(), piece.end(), expected.begin());
  const int64_t place = offset + (mismatch.first - piece.begin()) - Workload::kGuardBytes;
  if (place < 0) return "wrote before the output's start";
  const int64_t element = place / element_bytes;
  const int64_t row = element / shape.n;
  if (row >= OutputRows(problem)) return "wrote past the output's end";
  const int64_t start = element * element_bytes + Workload::kGuardBytes - offset;
  return absl::StrFormat("row %d, column %d: %g in place of %g", row, element % shape.n,
                         LoadElement(shape.output, piece.data() + start, 0),
                         LoadElement(shape.output, expected.data() + start, 0));
}

}  // namespace moetune
