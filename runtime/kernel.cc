#include "runtime/kernel.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/device/combine.cuh"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

constexpr const char* kEntry = "moe_kernel";
constexpr const char* kCombineEntry = "moe_combine";

std::string CandidateText(const Candidate& candidate) {
  return absl::StrFormat("%s %s", candidate.family->name, candidate.config.Text());
}

// Of an operand, before a kernel faults on it.
absl::Status CheckAlignment(const char* name, const void* operand, const Plan& plan,
                            const Candidate& candidate) {
  if (reinterpret_cast<uintptr_t>(operand) % static_cast<uintptr_t>(plan.operand_alignment) == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s at %p does not begin at a multiple of %d bytes, as %s takes it", name,
                      operand, plan.operand_alignment, candidate.family->name));
}

// Legality was checked at the row count that was prepared; a launch may bring more.
absl::Status CheckExtent(const Problem& problem, const Plan& plan, const Candidate& candidate) {
  const Shape& shape = problem.shape;
  const int64_t elements = (shape.Has(kGather) ? problem.tokens : problem.rows) * shape.k;
  if (elements <= plan.most_x_elements) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("x has %d elements; %s takes at most %d",
                                                    elements, candidate.family->name,
                                                    plan.most_x_elements));
}

}  // namespace

absl::StatusOr<LoadedKernel> LoadedKernel::Load(const Context& context, const Cubin& cubin,
                                                const Candidate& candidate,
                                                const Problem& problem) {
  LoadedKernel kernel;
  const DriverApi& driver = context.driver();
  const auto check = [&](int code, std::string_view what) {
    if (code == 0) return absl::OkStatus();
    return DriverStatus(driver, code, absl::StrFormat("%s %s", what, CandidateText(candidate)));
  };
  kernel.driver_ = &driver;
  kernel.device_ = context.device();
  kernel.candidate_ = candidate;
  kernel.facts_ = cubin.facts;
  RETURN_IF_ERROR(check(driver.module_load(&kernel.module_, cubin.image.data()), "cannot load"));
  RETURN_IF_ERROR(check(driver.module_function(&kernel.function_, kernel.module_, kEntry),
                        "cannot find the entry of"));

  const Plan plan =
      candidate.family->plan(problem, candidate.config, kernel.device_, kernel.facts_);
  if (plan.combine_ctas > 0) {
    RETURN_IF_ERROR(check(driver.module_function(&kernel.combine_, kernel.module_, kCombineEntry),
                          "cannot find the second entry of"));
  }
  if (plan.draws_tiles) kernel.queues_ = std::make_unique<TileQueues>();
  if (plan.dynamic_shared_bytes > 0) {
    // All that there is: other problems of the kernel, of more experts, may take more than this
    // one.
    const int64_t most = kernel.device_.shared_bytes_per_block - kernel.facts_.static_shared_bytes;
    RETURN_IF_ERROR(check(
        driver.function_allow_shared(kernel.function_, std::max(plan.dynamic_shared_bytes, most)),
        "cannot give its shared memory to"));
  }
  RETURN_IF_ERROR(
      check(driver.function_resident_ctas(&kernel.facts_.resident_ctas, kernel.function_,
                                          plan.threads, plan.dynamic_shared_bytes),
            "cannot read the occupancy of"));
  if (kernel.facts_.resident_ctas == 0) {
    return absl::InternalError(absl::StrFormat("not one CTA of %s fits an SM of %s",
                                               CandidateText(candidate), kernel.device_.name));
  }
  return kernel;
}

LoadedKernel::~LoadedKernel() {
  if (module_ != nullptr) driver_->module_unload(module_);
}

LoadedKernel::LoadedKernel(LoadedKernel&& other) noexcept { *this = std::move(other); }

LoadedKernel& LoadedKernel::operator=(LoadedKernel&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(device_, other.device_);
  std::swap(candidate_, other.candidate_);
  std::swap(facts_, other.facts_);
  std::swap(module_, other.module_);
  std::swap(function_, other.function_);
  std::swap(combine_, other.combine_);
  std::swap(queues_, other.queues_);
  return *this;
}

absl::Status LoadedKernel::Launch(const Problem& problem, const MoeArgs& args,
                                  CUstream_st* stream) const {
  Plan plan = candidate_.family->plan(problem, candidate_.config, device_, facts_);
  RETURN_IF_ERROR(CheckAlignment("x", args.x, plan, candidate_));
  RETURN_IF_ERROR(CheckAlignment("w", args.w, plan, candidate_));
  RETURN_IF_ERROR(CheckExtent(problem, plan, candidate_));
  if (plan.draws_tiles) plan.launch.queue = queues_->Of(*driver_, stream);
  RETURN_IF_ERROR(Enqueue(function_, plan, args, stream));
  const Plan combine = {.grid = {plan.combine_ctas, 1, 1}, .threads = kCombineThreads};
  return Enqueue(combine_, combine, args, stream);
}

absl::Status LoadedKernel::Enqueue(CUfunc_st* function, const Plan& plan, const MoeArgs& args,
                                   CUstream_st* stream) const {
  if (plan.grid[0] == 0 || plan.grid[1] == 0 || plan.grid[2] == 0) return absl::OkStatus();
  const int code = driver_->launch(function, plan, &args, stream);
  if (code == 0) return absl::OkStatus();
  return DriverStatus(*driver_, code,
                      absl::StrFormat("cannot launch %s", CandidateText(candidate_)));
}

}  // namespace moetune
