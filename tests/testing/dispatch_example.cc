// The smallest whole user of the runtime: dispatch_example DATABASE CUBIN_FOLDER PROBLEM_KEY
// launches one grouped GEMM with the best known config and checks one element of it by hand.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/device/numeric.cuh"
#include "kernels/status_macros.h"
#include "runtime/device.h"
#include "runtime/dispatcher.h"

namespace moetune {
namespace {

std::vector<bf16> RandomValues(int64_t count, uint32_t seed) {
  std::vector<bf16> values(count);
  for (bf16& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = FromFloat<bf16>(static_cast<float>(seed >> 8) / (1 << 23) - 1.0f);  // in [-1, 1)
  }
  return values;
}

template <typename T>
absl::StatusOr<Buffer> Upload(const DriverApi& driver, const std::vector<T>& values) {
  ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(driver, values.size() * sizeof(T)));
  RETURN_IF_ERROR(DriverStatus(
      driver, driver.copy_to_device(buffer.address(), values.data(), buffer.bytes()), "copy"));
  return buffer;
}

absl::Status Run(const char* database, const char* cubin_folder, const char* key) {
  ASSIGN_OR_RETURN(const Problem problem, ParseProblem(key));
  const Shape& shape = problem.shape;
  if (DtypesText(shape) != "bf16" || shape.fusions != kGather) {
    return absl::InvalidArgumentError("this example launches forward/bf16/gather problems");
  }

  // The dispatcher opens the driver; what follows needs it too, for the tensors.
  ASSIGN_OR_RETURN(const auto dispatcher,
                   Dispatcher::Open({.database = database, .cubin_folder = cubin_folder}));
  RETURN_IF_ERROR(dispatcher->Prepare(problem));
  ASSIGN_OR_RETURN(const Ready ready, dispatcher->Inspect(problem));
  std::printf("%s\n  tier %s: %s %s\n", key, std::string(TierName(ready.tier)).c_str(),
              std::string(ready.candidate.family->name).c_str(),
              ready.candidate.config.Text().c_str());

  // Slot s of the routing belongs to expert s * experts / slots: sorted already.
  std::vector<int> counts(shape.experts, 0);
  std::vector<int> index(problem.rows);
  std::iota(index.begin(), index.end(), 0);
  for (int64_t slot = 0; slot < problem.rows; ++slot) {
    ++counts[slot * shape.experts / problem.rows];
  }
  const std::vector<bf16> x = RandomValues(problem.tokens * shape.k, 1);
  const std::vector<bf16> w = RandomValues(shape.experts * shape.n * shape.k, 2);
  std::vector<bf16> y(problem.rows * shape.n);

  ASSIGN_OR_RETURN(const DriverApi* driver, OpenDriver());
  ASSIGN_OR_RETURN(const Context context, Context::Acquire(*driver, 0));
  ASSIGN_OR_RETURN(const Buffer device_x, Upload(*driver, x));
  ASSIGN_OR_RETURN(const Buffer device_w, Upload(*driver, w));
  ASSIGN_OR_RETURN(const Buffer device_y, Upload(*driver, y));
  ASSIGN_OR_RETURN(const Buffer device_counts, Upload(*driver, counts));
  ASSIGN_OR_RETURN(const Buffer device_index, Upload(*driver, index));
  const MoeArgs args = {.x = device_x.pointer(),
                        .w = device_w.pointer(),
                        .y = device_y.pointer(),
                        .row_counts = device_counts.pointer(),
                        .row_index = device_index.pointer(),
                        .scale = nullptr,
                        .tokens = problem.tokens,
                        .rows = problem.rows,
                        .experts = shape.experts,
                        .top_k = shape.top_k,
                        .n = shape.n,
                        .k = shape.k};
  ASSIGN_OR_RETURN(const Stream stream, Stream::Create(*driver));
  RETURN_IF_ERROR(dispatcher->Launch(shape, args, stream.get()));
  RETURN_IF_ERROR(stream.Synchronize());
  RETURN_IF_ERROR(DriverStatus(
      *driver, driver->copy_to_host(y.data(), device_y.address(), device_y.bytes()), "copy"));

  const int64_t row = problem.rows - 1;  // of the last expert
  double expected = 0;
  for (int64_t k = 0; k < shape.k; ++k) {
    expected += static_cast<double>(ToFloat(x[index[row] / shape.top_k * shape.k + k])) *
                ToFloat(w[(shape.experts - 1) * shape.n * shape.k + k]);
  }
  const float actual = ToFloat(y[row * shape.n]);
  std::printf("  y[%lld][0] = %g, by hand %g\n", static_cast<long long>(row), actual, expected);
  const double tolerance = 0x1p-7 * (std::abs(expected) + std::sqrt(shape.k / 9.0));
  if (std::abs(actual - expected) > tolerance) return absl::InternalError("the result is wrong");
  return absl::OkStatus();
}

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: dispatch_example DATABASE CUBIN_FOLDER PROBLEM_KEY\n");
    return 2;
  }
  const absl::Status status = moetune::Run(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::fprintf(stderr, "dispatch_example: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
