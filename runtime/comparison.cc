#include "runtime/comparison.h"

#include "kernels/status_macros.h"

namespace moetune {
namespace {

constexpr int kThreads = 512;
constexpr int kCtasPerSm = 2;

}  // namespace

Source CompareSource() { return PlainSource("kernels/device/compare.cuh"); }

absl::StatusOr<Comparison> Comparison::Load(const Context& context, const Cubin& cubin) {
  ASSIGN_OR_RETURN(ProbeKernel kernel, ProbeKernel::Load(context, cubin, "comparison"));
  ASSIGN_OR_RETURN(Buffer differ, Buffer::Allocate(context.driver(), sizeof(uint32_t)));
  return Comparison(std::move(kernel), std::move(differ));
}

absl::StatusOr<bool> Comparison::Equal(DeviceAddress left, DeviceAddress right, int64_t bytes,
                                       CUstream_st* stream) const {
  const Context& context = kernel_.context();
  const DriverApi& driver = context.driver();
  const auto check = [&](int code) {
    return DriverStatus(driver, code, "cannot compare on the device");
  };
  uint32_t differ = 0;
  RETURN_IF_ERROR(check(driver.fill(differ_.address(), 0, sizeof(differ), stream)));
  const CompareArgs args = {.left = left,
                            .right = right,
                            .bytes = static_cast<uint64_t>(bytes),
                            .differ = differ_.address()};
  const int64_t ctas = context.device().sm_count * kCtasPerSm;
  RETURN_IF_ERROR(kernel_.Launch({.grid = {ctas, 1, 1}, .threads = kThreads}, &args, stream));
  RETURN_IF_ERROR(check(driver.stream_synchronize(stream)));
  RETURN_IF_ERROR(check(driver.copy_to_host(&differ, differ_.address(), sizeof(differ))));
  return differ == 0;
}

}  // namespace moetune
