#include "tests/testing/fake_launch.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/testing/host_reference.h"

namespace moetune {
namespace {

int64_t ReadIndex(const FakeKernel& kernel, const void* array, int64_t i) {
  return kernel.types.index64 ? static_cast<const int64_t*>(array)[i]
                              : static_cast<const int32_t*>(array)[i];
}

int64_t RoutedRows(const FakeKernel& kernel, const MoeArgs& args) {
  int64_t rows = 0;
  for (int64_t e = 0; e < args.experts; ++e) rows += ReadIndex(kernel, args.row_counts, e);
  return rows;
}

int64_t TargetRow(const FakeKernel& kernel, const MoeArgs& args, int64_t row) {
  return WritesSlots(kernel.kind) ? ReadIndex(kernel, args.row_index, row) : row;
}

int64_t ScaleBytes(const FakeKernel& kernel, const MoeArgs& args) {
  const int64_t weight = kernel.types.scale_fp32 ? 4 : DtypeBytes(kernel.kind.dtype);
  return args.tokens * args.top_k * weight;
}

}  // namespace

Problem ProblemOfLaunch(const FakeKernel& kernel, const MoeArgs& args) {
  Problem problem = {.shape = kernel.kind, .tokens = args.tokens, .rows = args.rows};
  problem.shape.experts = args.experts;
  problem.shape.top_k = args.top_k;
  problem.shape.n = args.n;
  problem.shape.k = args.k;
  return problem;
}

std::vector<ArgumentRange> ArgumentRanges(const FakeKernel& kernel, const MoeArgs& args) {
  const Shape& kind = kernel.kind;
  const int64_t operand = DtypeBytes(kind.dtype);
  const int64_t output = DtypeBytes(kind.output);
  const int64_t index = kernel.types.index64 ? 8 : 4;
  const Problem problem = ProblemOfLaunch(kernel, args);
  const int64_t x_rows = kind.Has(kGather) ? args.tokens : args.rows;
  std::vector<ArgumentRange> ranges;
  const auto add = [&](std::string name, const void* address, int64_t bytes) {
    ranges.push_back({std::move(name), address, static_cast<size_t>(bytes)});
  };
  add("x", args.x, x_rows * args.k * operand);
  add("w", args.w, args.experts * args.n * args.k * operand);
  if (kind.Has(kCombine)) {
    add("workspace", args.workspace, WorkspaceBytes(problem));
  } else {
    add("y", args.y, OutputRows(problem) * OutputColumns(problem.shape) * output);
  }
  if (kind.Has(kPreact)) add("preact", args.preact, args.rows * args.n * output);
  add("row_counts", args.row_counts, args.experts * index);
  if (kind.ReadsIndex()) add("row_index", args.row_index, args.rows * index);
  if (kind.ReadsScale()) add("scale", args.scale, ScaleBytes(kernel, args));
  return ranges;
}

std::vector<ArgumentRange> CombineArgumentRanges(const FakeKernel& kernel, const MoeArgs& args) {
  const auto bytes = [](int64_t count) { return static_cast<size_t>(count); };
  return {{"y", args.y, bytes(args.tokens * args.n * DtypeBytes(kernel.kind.output))},
          {"scale", args.scale, bytes(ScaleBytes(kernel, args))},
          {"workspace", args.workspace, bytes(WorkspaceBytes(ProblemOfLaunch(kernel, args)))}};
}

std::string CheckRouting(const FakeKernel& kernel, const MoeArgs& args) {
  for (int64_t e = 0; e < args.experts; ++e) {
    const int64_t count = ReadIndex(kernel, args.row_counts, e);
    if (count < 0) return absl::StrFormat("expert %d has %d rows", e, count);
  }
  const int64_t rows = RoutedRows(kernel, args);
  if (rows > args.rows) {
    return absl::StrFormat("row_counts add up to %d, args.rows is %d", rows, args.rows);
  }
  if (!kernel.kind.ReadsIndex()) return {};
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t slot = ReadIndex(kernel, args.row_index, row);
    if (slot < 0 || slot >= args.tokens * args.top_k) {
      return absl::StrFormat("row_index[%d] is %d of %d slots", row, slot,
                             args.tokens * args.top_k);
    }
  }
  return {};
}

void RunLaunch(const FakeScript& script, const FakeKernel& kernel, const MoeArgs& args) {
  const int64_t rows = RoutedRows(kernel, args);
  if (rows == 0) return;
  const auto scripted = [&](FakeFaultKind kind) {
    return script.Find(kind, kernel.candidate) != nullptr;
  };
  const int64_t columns = OutputColumns(ProblemOfLaunch(kernel, args).shape);
  const size_t row_bytes = static_cast<size_t>(columns * DtypeBytes(kernel.kind.output));
  char* const y = static_cast<char*>(kernel.kind.Has(kCombine) ? args.workspace : args.y);
  char* const last_row = y + row_bytes * static_cast<size_t>(TargetRow(kernel, args, rows - 1));
  const std::vector<char> before(last_row, last_row + row_bytes);
  HostForward(kernel.kind, kernel.types, args);

  const int64_t first = TargetRow(kernel, args, 0) * columns;
  if (scripted(FakeFaultKind::kWrongOutput)) {
    const float value = ReadElement(y, kernel.kind.output, first);
    WriteElement(y, kernel.kind.output, first, 2 * value + 1);
  }
  if (scripted(FakeFaultKind::kWrongBit)) {
    y[static_cast<size_t>(first) * static_cast<size_t>(DtypeBytes(kernel.kind.output))] ^= 1;
  }
  if (scripted(FakeFaultKind::kLostRow)) std::memcpy(last_row, before.data(), row_bytes);
  if (scripted(FakeFaultKind::kOverrun)) {
    const int64_t y_rows = OutputRows(ProblemOfLaunch(kernel, args));
    static_cast<char*>(args.y)[row_bytes * static_cast<size_t>(y_rows)] = 0;
  }
}

}  // namespace moetune
