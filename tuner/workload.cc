#include "tuner/workload.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"
#include "tuner/element.h"
#include "tuner/random.h"

namespace moetune {
namespace {

// Primes past 2^16, 2^20 and 2^22. The last is past the rows of every MoE layer known, and its
// block is made in a tenth of a second.
constexpr std::array<int64_t, 3> kBlockElements = {65537, 1048583, 4194319};

// Large beside what it costs to begin a copy and to start the threads that look at it.
constexpr int64_t kPieceBytes = int64_t{64} << 20;

// Left on the device by a copy that could be done without: for the modules of kernels, which take
// 100 KB each.
constexpr size_t kRoomBytes = size_t{512} << 20;

enum Stream : uint64_t { kActivations, kWeights, kTunedDraw, kSparseDraw };

int64_t ActivationRows(const Problem& problem) {
  return problem.shape.Has(kGather) ? problem.tokens : problem.rows;
}

int64_t WeightElements(const Shape& shape) { return shape.experts * shape.n * shape.k; }

// A copy may return before its last bytes have reached the device; kernels on a stream of ours
// would not wait for them.
absl::Status Upload(const DriverApi& driver, const Buffer& buffer, const void* source,
                    int64_t bytes) {
  RETURN_IF_ERROR(DriverStatus(
      driver, driver.copy_to_device(buffer.address(), source, static_cast<size_t>(bytes)),
      "cannot copy to the device"));
  return DriverStatus(driver, driver.stream_synchronize(nullptr), "a copy to the device failed");
}

// Copies the block once, then what is there already, twice as much each time.
absl::Status Fill(const DriverApi& driver, CUstream_st* stream, const Buffer& buffer, int64_t bytes,
                  std::span<const uint8_t> block) {
  int64_t filled = std::min<int64_t>(bytes, block.size());
  RETURN_IF_ERROR(Upload(driver, buffer, block.data(), filled));
  while (filled < bytes) {
    const int64_t count = std::min(filled, bytes - filled);
    RETURN_IF_ERROR(DriverStatus(driver,
                                 driver.copy_on_device(buffer.address() + filled, buffer.address(),
                                                       static_cast<size_t>(count), stream),
                                 "cannot copy on the device"));
    filled += count;
  }
  return absl::OkStatus();
}

}  // namespace

int64_t Pattern::BlockElements(int64_t rows) {
  for (int64_t elements : kBlockElements) {
    if (elements > rows) return elements;
  }
  return kBlockElements.back();
}

Pattern::Pattern(const Kind& kind) : kind_(kind), block_(kind.elements * DtypeBytes(kind.dtype)) {
  Random random{kind.seed};
  for (int64_t i = 0; i < kind.elements; ++i) {
    float value = 0;
    // A zero would hide a wrong factor beside it; below 1e-3 deviations fp16 may round to one.
    while (std::abs(value) < 1e-3f * kind.deviation) value = kind.deviation * random.Normal();
    StoreElement(kind.dtype, block_.data(), i, value);
  }
}

void Pattern::Read(int64_t first, std::span<float> values) const {
  int64_t at = first % kind_.elements;
  while (!values.empty()) {
    const auto count = std::min<size_t>(values.size(), kind_.elements - at);
    LoadElements(kind_.dtype, block_.data(), at, values.first(count));
    values = values.subspan(count);
    at = 0;
  }
}

absl::StatusOr<RoutingDraw> TimedDraw(const Problem& problem, uint64_t seed,
                                      const Histograms& histograms) {
  return DrawRouting(problem, seed ^ kTunedDraw, histograms);
}

std::vector<OutputTensor> OutputTensors(const Problem& problem) {
  constexpr int64_t kAlignment = 256;
  const Shape& shape = problem.shape;
  std::vector<OutputTensor> tensors = {
      {.name = "y", .rows = OutputRows(problem), .columns = OutputColumns(shape)}};
  if (shape.Has(kPreact)) {
    tensors.push_back({.name = "preact", .rows = problem.rows, .columns = shape.n});
  }
  int64_t end = 0;
  for (OutputTensor& tensor : tensors) {
    tensor.offset = (end + kAlignment - 1) / kAlignment * kAlignment + Workload::kGuardBytes;
    tensor.bytes = tensor.rows * tensor.columns * DtypeBytes(shape.output);
    end = tensor.offset + tensor.bytes;
  }
  return tensors;
}

int64_t Workload::OutputBytes() const {
  const OutputTensor last = OutputTensors(host_.problem).back();
  return last.offset + last.bytes + kGuardBytes;
}

absl::Status Workload::Reserve(Buffer& buffer, int64_t bytes, const char* what) {
  if (static_cast<int64_t>(buffer.bytes()) >= bytes) return absl::OkStatus();
  buffer = Buffer();  // frees the old one first
  absl::StatusOr<Buffer> made = Buffer::Allocate(context_.driver(), static_cast<size_t>(bytes));
  if (made.ok()) {
    buffer = *std::move(made);
    return absl::OkStatus();
  }
  // A broken context fails here too; only a working one is out of memory.
  const DriverApi& driver = context_.driver();
  RETURN_IF_ERROR(DriverStatus(driver, driver.stream_synchronize(stream_), "the device is broken"));
  return absl::ResourceExhaustedError(absl::StrFormat(
      "no room for %s of %s: %.1f GiB are asked of %s, which has %.1f", what,
      ProblemKey(host_.problem), static_cast<double>(bytes) / (1 << 30), context_.device().name,
      static_cast<double>(context_.device().memory_bytes) / (1 << 30)));
}

absl::Status Workload::ReserveTensors() {
  const Problem& problem = host_.problem;
  const Shape& shape = problem.shape;
  const int64_t bytes = DtypeBytes(shape.dtype);
  RETURN_IF_ERROR(Reserve(x_, ActivationRows(problem) * shape.k * bytes, "the activations"));
  RETURN_IF_ERROR(Reserve(w_, WeightElements(shape) * bytes, "the weights"));
  RETURN_IF_ERROR(Reserve(workspace_, WorkspaceBytes(problem), "the workspace"));
  return Reserve(y_, OutputBytes(), "the output");
}

absl::Status Workload::Load(const Problem& problem, uint64_t seed, const Histograms& histograms) {
  const Shape& shape = problem.shape;
  const int64_t x_rows = ActivationRows(problem);
  const Pattern::Kind x = {shape.dtype, 1, Pattern::BlockElements(x_rows), seed ^ kActivations};
  if (host_.x.kind() != x) host_.x = Pattern(x);
  const Pattern::Kind w = {shape.dtype, 1 / std::sqrt(static_cast<float>(shape.k)),
                           Pattern::BlockElements(shape.experts * shape.n), seed ^ kWeights};
  if (host_.w.kind() != w) host_.w = Pattern(w);
  host_.draws.clear();
  for (const Problem& each : EachRouting(problem)) {
    ASSIGN_OR_RETURN(RoutingDraw draw, TimedDraw(each, seed, histograms));
    host_.draws.push_back(std::move(draw));
  }
  host_.draws.push_back(DrawSparseRouting(problem, seed ^ kSparseDraw));
  host_.problem = problem;

  absl::Status reserved = ReserveTensors();
  if (absl::IsResourceExhausted(reserved)) {
    // What earlier problems needed may be in the way of what this one needs.
    x_ = Buffer();
    w_ = Buffer();
    y_ = Buffer();
    workspace_ = Buffer();
    reserved = ReserveTensors();
  }
  RETURN_IF_ERROR(reserved);
  draws_.resize(host_.draws.size());
  return Refill();
}

absl::Status Workload::LoadDraw(size_t draw) {
  const DriverApi& driver = context_.driver();
  const RoutingDraw& source = host_.draws[draw];
  DrawBuffers& target = draws_[draw];
  const auto load = [&](Buffer& buffer, const auto& values, const char* what) -> absl::Status {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(values[0]));
    RETURN_IF_ERROR(Reserve(buffer, bytes, what));
    return Upload(driver, buffer, values.data(), bytes);
  };
  RETURN_IF_ERROR(load(target.counts, source.counts, "the row counts"));
  RETURN_IF_ERROR(load(target.index, source.index, "the routing index"));
  return load(target.weights, source.weights, "the routing weights");
}

absl::Status Workload::Refill() {
  for (size_t draw = 0; draw < draws_.size(); ++draw) RETURN_IF_ERROR(LoadDraw(draw));
  const Shape& shape = host_.problem.shape;
  const DriverApi& driver = context_.driver();
  const int64_t bytes = DtypeBytes(shape.dtype);
  RETURN_IF_ERROR(
      Fill(driver, stream_, x_, ActivationRows(host_.problem) * shape.k * bytes, host_.x.block()));
  return Fill(driver, stream_, w_, WeightElements(shape) * bytes, host_.w.block());
}

MoeArgs Workload::Args(int draw) const {
  const Problem& problem = host_.problem;
  const Shape& shape = problem.shape;
  auto* const output = static_cast<uint8_t*>(y_.pointer());
  const std::vector<OutputTensor> tensors = OutputTensors(problem);
  return {.x = x_.pointer(),
          .w = w_.pointer(),
          .y = output + tensors.front().offset,
          .row_counts = draws_[draw].counts.pointer(),
          .row_index = shape.ReadsIndex() ? draws_[draw].index.pointer() : nullptr,
          .scale = shape.ReadsScale() ? draws_[draw].weights.pointer() : nullptr,
          .preact = shape.Has(kPreact) ? output + tensors.back().offset : nullptr,
          .workspace = shape.Has(kCombine) ? workspace_.pointer() : nullptr,
          .tokens = problem.tokens,
          .rows = problem.rows,
          .experts = shape.experts,
          .top_k = shape.top_k,
          .n = shape.n,
          .k = shape.k};
}

absl::Status Workload::PoisonOutput() {
  const DriverApi& driver = context_.driver();
  const auto fill = [&](const Buffer& buffer, int64_t bytes) {
    if (bytes == 0) return absl::OkStatus();
    return DriverStatus(driver,
                        driver.fill(buffer.address(), kPoison, static_cast<size_t>(bytes), stream_),
                        "cannot fill the output");
  };
  RETURN_IF_ERROR(fill(workspace_, WorkspaceBytes(host_.problem)));
  return fill(y_, OutputBytes());
}

absl::Status Workload::CopyOutput(Buffer& copy) {
  const DriverApi& driver = context_.driver();
  const auto bytes = static_cast<size_t>(OutputBytes());
  if (copy.bytes() == 0) {
    const absl::StatusOr<Buffer> room = Buffer::Allocate(driver, kRoomBytes);
    if (!room.ok()) return absl::ResourceExhaustedError(room.status().message());
    absl::StatusOr<Buffer> made = Buffer::Allocate(driver, bytes);
    if (!made.ok()) return absl::ResourceExhaustedError(made.status().message());
    copy = *std::move(made);
  }
  return DriverStatus(driver, driver.copy_on_device(copy.address(), output(), bytes, stream_),
                      "cannot copy the output");
}

absl::Status Workload::ReadOutput(const Consume& consume) {
  const DriverApi& driver = context_.driver();
  for (LockedBuffer& piece : pieces_) {
    if (piece.bytes() > 0) continue;
    ASSIGN_OR_RETURN(piece, LockedBuffer::Allocate(driver, kPieceBytes));
  }
  const int64_t bytes = OutputBytes();
  const auto count = [&](int64_t at) {
    return static_cast<size_t>(std::min(bytes - at, kPieceBytes));
  };
  const auto fetch = [&](int64_t at) {
    if (at >= bytes) return absl::OkStatus();
    return DriverStatus(
        driver,
        driver.copy_to_locked(pieces_[at / kPieceBytes % 2].data(),
                              y_.address() + static_cast<DeviceAddress>(at), count(at), stream_),
        "cannot copy from the device");
  };
  const auto arrive = [&] {
    return DriverStatus(driver, driver.stream_synchronize(stream_),
                        "a copy from the device failed");
  };
  RETURN_IF_ERROR(fetch(0));
  for (int64_t at = 0; at < bytes; at += kPieceBytes) {
    RETURN_IF_ERROR(arrive());
    RETURN_IF_ERROR(fetch(at + kPieceBytes));
    if (!consume({pieces_[at / kPieceBytes % 2].data(), count(at)})) return arrive();
  }
  return absl::OkStatus();
}

}  // namespace moetune
