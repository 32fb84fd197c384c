// Random problems, each on a random legal config of a family, on a real GPU. Skips elsewhere.
//
// $MOETUNE_PROBLEMS (500) of them; $MOETUNE_FAMILY names the families (all, in turn), $MOETUNE_SEED
// repeats a run, $MOETUNE_CUBINS keeps the compiled kernels.
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <iostream>
#include <optional>

#include "kernels/cost_model.h"
#include "runtime/kernel_pool.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/kernel_shop.h"
#include "tests/testing/forward_case.h"
#include "tuner/random.h"
#include "tuner/verifier.h"

namespace moetune {
namespace {

// What is drawn from.
constexpr const char* kFusions[] = {"plain",  "gather",        "scatter", "scatter+scale",
                                    "swiglu", "gather+swiglu", "combine", "gather+swiglu+preact"};
constexpr const char* kDtypes[] = {"bf16", "bf16", "fp16", "bf16-fp32"};
constexpr RoutingKind kRoutings[] = {kSoftmax, kBalanced, kZipf};

// From 1 to `most`, small ones as likely as large ones.
int64_t LogUniform(Random& random, int64_t most) {
  return static_cast<int64_t>(std::exp(random.Uniform() * std::log(static_cast<double>(most) + 1)));
}

// n or k: any, a multiple of 8 as fast kernels need it, or one of 64.
int64_t RandomSize(Random& random, int64_t most) {
  constexpr int64_t kSteps[] = {1, 8, 8, 64};
  const int64_t step = kSteps[random.Below(std::size(kSteps))];
  return LogUniform(random, most / step) * step;
}

// `work` bounds rows * n and rows * k, and 30 times it the weights.
Problem RandomProblem(Random& random, int64_t work) {
  Problem problem;
  Shape& shape = problem.shape;
  shape.fusions = ParseFusions(kFusions[random.Below(std::size(kFusions))]).value();
  EXPECT_TRUE(ParseDtypes(kDtypes[random.Below(std::size(kDtypes))], shape).ok());
  do {
    shape.experts = LogUniform(random, 256);
    shape.top_k = LogUniform(random, std::min<int64_t>(shape.experts, 8));
    shape.n = RandomSize(random, 4096);
    shape.k = RandomSize(random, 4096);
    problem.tokens = LogUniform(random, 4096);
    problem.rows = problem.tokens * shape.top_k;
    // One rank's share of the experts, now and then.
    if (random.Below(4) == 0) problem.rows = 1 + random.Below(problem.rows);
  } while (problem.rows * std::max(shape.n, shape.k) > work ||
           shape.experts * shape.n * shape.k > 30 * work || !ValidateProblem(problem).ok());
  problem.routing.kinds = kRoutings[random.Below(std::size(kRoutings))];
  return problem;
}

// Nothing when none is found: the family does not run the problem, or hardly ever.
std::optional<Candidate> RandomLegal(Random& random, const Family& family, const Problem& problem,
                                     const DeviceSpec& device) {
  for (int attempt = 0; attempt < 5000; ++attempt) {
    Candidate candidate = {.family = &family};
    for (const Parameter& parameter : family.space().parameters) {
      candidate.config.Set(parameter.name, parameter.values[random.Below(parameter.values.size())]);
    }
    if (IsLegal(family, problem, candidate.config, device)) return candidate;
  }
  return std::nullopt;
}

struct Draw {
  Problem problem;
  Candidate candidate;
};

// The families in turn, each on a problem that it runs.
std::vector<Draw> RandomDraws(int count, int64_t work, const DeviceSpec& device, Random& random) {
  std::vector<const Family*> families = FamiliesNamed(Variable("MOETUNE_FAMILY"));
  std::erase_if(families, [&](const Family* family) {
    return device.compute_capability < family->min_compute_capability;
  });
  std::vector<Draw> draws;
  for (int i = 0; static_cast<int>(draws.size()) < count && !families.empty() && i < 20 * count;
       ++i) {
    const Problem problem = RandomProblem(random, work);
    const Family& family = *families[draws.size() % families.size()];
    const auto candidate = RandomLegal(random, family, problem, device);
    if (candidate) draws.push_back({problem, *candidate});
  }
  return draws;
}

class RandomProblemsTest : public KernelShopTest {
 protected:
  // Both routings of the workload, the sparse one with empty and one-row experts.
  absl::Status Check(const Draw& draw, uint64_t seed) {
    RETURN_IF_ERROR(workload_->Load(draw.problem, seed, {}));
    Verifier verifier(*workload_, *stream_);
    for (const Candidate& candidate : {BaseCandidate(), draw.candidate}) {
      ASSIGN_OR_RETURN(const LoadedKernel* kernel, shop_->Get(draw.problem, candidate));
      ASSIGN_OR_RETURN(const Complaint complaint, verifier.Verify(*kernel, seed, [] {}));
      if (complaint) return absl::DataLossError(*complaint);
    }
    return absl::OkStatus();
  }
};

TEST_F(RandomProblemsTest, EachAgreesWithTheReference) {
  const int count = Variable("MOETUNE_PROBLEMS", 500);
  Random random{Seed(), 1};
  const std::vector<Draw> draws = RandomDraws(count, 2'000'000, context_->device(), random);
  ASSERT_EQ(static_cast<int>(draws.size()), count) << "the families run too few of the problems";
  for (const Draw& draw : draws) shop_->Order(draw.problem, draw.candidate);
  for (int i = 0; i < count; ++i) {
    const absl::Status status = Check(draws[i], Seed() + i);
    EXPECT_TRUE(status.ok()) << "problem " << i << ": " << ProblemKey(draws[i].problem) << "\n"
                             << draws[i].candidate.family->name << " "
                             << draws[i].candidate.config.Text() << "\n"
                             << status;
    // A broken context fails all that follows.
    ASSERT_TRUE(stream_->Synchronize().ok());
    if ((i + 1) % 50 == 0) std::cout << i + 1 << " of " << count << std::endl;
  }
}

// Indices of 64 bits and weights of the activations' type: compiled apart, so fewer.
TEST_F(RandomProblemsTest, WideIndicesAndNarrowWeightsAgreeWithTheHost) {
  const int count = std::max(1, Variable("MOETUNE_PROBLEMS", 500) / 25);
  constexpr ArgTypes kTypes = {.index64 = true, .scale_fp32 = false};
  Random random{Seed(), 2};
  const std::vector<Draw> draws = RandomDraws(count, 20'000, context_->device(), random);
  KernelPool pool(*context_, CubinCache::Open(CubinFolderOfTest()).value(),
                  {.arg_types = kTypes, .max_kernels = 1000});
  std::vector<std::future<absl::StatusOr<const LoadedKernel*>>> kernels;
  for (const Draw& draw : draws) {
    kernels.push_back(std::async(std::launch::async, [&]() -> absl::StatusOr<const LoadedKernel*> {
      RETURN_IF_ERROR(context_->MakeCurrent());
      return pool.Get(draw.problem, draw.candidate, "");
    }));
  }
  for (size_t i = 0; i < draws.size(); ++i) {
    SCOPED_TRACE(ProblemKey(draws[i].problem) + " " + draws[i].candidate.config.Text());
    const absl::StatusOr<const LoadedKernel*> kernel = kernels[i].get();
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    const auto test_case =
        ForwardCase::Create(*driver_, draws[i].problem, {.types = kTypes, .seed = Seed() + i});
    ASSERT_TRUE(test_case.ok()) << test_case.status();
    ASSERT_TRUE((*kernel)->Launch(draws[i].problem, test_case->args(), stream_->get()).ok());
    ASSERT_TRUE(stream_->Synchronize().ok());
    const absl::Status status = test_case->CheckOutput();
    EXPECT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) { return moetune::KernelShopMain(argc, argv); }
