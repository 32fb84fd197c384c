// Random problems, each on a random legal config of every family that runs it, on a real GPU. Skips
// elsewhere.
//
// $MOETUNE_PROBLEMS (1000) for each family; $MOETUNE_FAMILY names the families (all), $MOETUNE_SEED
// repeats a run, $MOETUNE_CUBINS keeps the compiled kernels. On 16 cores about 3 minutes, most of
// them for some 600 compiles. Under compute-sanitizer, for each family in less than a minute:
//
//   MOETUNE_PROBLEMS=16 MOETUNE_FAMILY=sm90_wgmma compute-sanitizer --tool memcheck
//     random_problems_test --gtest_filter=*Reference
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/str_join.h"
#include "runtime/kernel_pool.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/kernel_shop.h"
#include "tests/testing/forward_case.h"
#include "tuner/random.h"
#include "tuner/verifier.h"

namespace moetune {
namespace {

// What is drawn from, the first two in turn: each 56 problems have all pairs.
constexpr const char* kFusions[] = {"plain",  "gather",        "scatter", "scatter+scale",
                                    "swiglu", "gather+swiglu", "combine", "gather+swiglu+preact"};
constexpr const char* kDtypes[] = {"bf16",      "bf16",      "bf16", "fp16",
                                   "bf16-fp32", "fp16-fp32", "fp32"};
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

// The `number`th; `work` bounds rows * n and rows * k, and 30 times it the weights.
Problem RandomProblem(size_t number, Random& random, int64_t work) {
  constexpr size_t kKinds = std::size(kFusions);
  Problem problem;
  Shape& shape = problem.shape;
  shape.fusions = ParseFusions(kFusions[number % kKinds]).value();
  const char* const dtypes = kDtypes[(number + number / kKinds) % std::size(kDtypes)];
  EXPECT_TRUE(ParseDtypes(dtypes, shape).ok());
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

// What a kernel is compiled for.
std::string KindOf(const Problem& problem) {
  return absl::StrFormat("%s %s", DtypesText(problem.shape), FusionsText(problem.shape.fusions));
}

// Draws legal configs. A kernel serves every size, and to compile it takes longer than to check
// it: of each family and kind kMost are drawn, and from then on one of those.
class ConfigDraw {
 public:
  explicit ConfigDraw(const DeviceSpec& device, Random& random)
      : device_(device), random_(random) {}

  // Nothing when none is found: the family does not run the problem, or hardly ever.
  std::optional<Candidate> Draw(const Family& family, const Problem& problem) {
    std::vector<Candidate>& drawn = drawn_[{&family, KindOf(problem)}];
    if (drawn.size() >= kMost) {
      const size_t first = random_.Below(drawn.size());
      for (size_t i = 0; i < drawn.size(); ++i) {
        const Candidate& candidate = drawn[(first + i) % drawn.size()];
        if (IsLegal(family, problem, candidate.config, device_)) return candidate;
      }
    }
    std::optional<Candidate> candidate = DrawNew(family, problem);
    if (candidate) drawn.push_back(*candidate);
    return candidate;
  }

 private:
  static constexpr size_t kMost = 12;
  static constexpr int kAttempts = 2000;

  std::optional<Candidate> DrawNew(const Family& family, const Problem& problem) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      Candidate candidate = {.family = &family};
      for (const Parameter& parameter : family.space().parameters) {
        candidate.config.Set(parameter.name,
                             parameter.values[random_.Below(parameter.values.size())]);
      }
      if (IsLegal(family, problem, candidate.config, device_)) return candidate;
    }
    return std::nullopt;
  }

  const DeviceSpec& device_;
  Random& random_;
  std::map<std::pair<const Family*, std::string>, std::vector<Candidate>> drawn_;
};

// A problem, and a candidate of each family that runs it.
struct Draw {
  Problem problem;
  std::vector<Candidate> candidates;
};

// Of each family that the device has as many candidates as `count`, or too few when that takes 20
// times as many problems.
std::vector<Draw> RandomDraws(int count, int64_t work, const DeviceSpec& device, Random& random) {
  std::vector<std::pair<const Family*, int>> wanted;
  for (const Family* family : FamiliesNamed(Variable("MOETUNE_FAMILY"))) {
    if (device.compute_capability >= family->min_compute_capability)
      wanted.push_back({family, count});
  }
  ConfigDraw configs(device, random);
  std::vector<Draw> draws;
  for (int i = 0; i < 20 * count && !wanted.empty(); ++i) {
    Draw draw = {.problem = RandomProblem(i, random, work)};
    for (auto& [family, number] : wanted) {
      const std::optional<Candidate> candidate = configs.Draw(*family, draw.problem);
      if (!candidate) continue;
      draw.candidates.push_back(*candidate);
      --number;
    }
    std::erase_if(wanted, [](const auto& entry) { return entry.second == 0; });
    if (!draw.candidates.empty()) draws.push_back(std::move(draw));
  }
  for (const auto& [family, number] : wanted) {
    ADD_FAILURE() << family->name << " runs too few of the problems: " << number << " short";
  }
  return draws;
}

// How many problems ran on each family, and of which kind they were.
class Tally {
 public:
  void Add(const Draw& draw) {
    for (const Candidate& candidate : draw.candidates) {
      const std::string family(candidate.family->name);
      ++problems_[family];
      ++of_kind_[family][DtypesText(draw.problem.shape)];
      ++of_kind_[family][FusionsText(draw.problem.shape.fusions)];
      of_kind_[family]["one rank's share"] += draw.problem.rows < FullRows(draw.problem);
    }
  }

  std::string Totals() const { return absl::StrJoin(problems_, ", ", absl::PairFormatter(" ")); }
  std::string Text() const {
    std::string text;
    for (const auto& [family, number] : problems_) {
      absl::StrAppendFormat(&text, "%s: %d problems: %s\n", family, number,
                            absl::StrJoin(of_kind_.at(family), ", ", absl::PairFormatter(" ")));
    }
    return text;
  }

 private:
  static int64_t FullRows(const Problem& problem) { return problem.tokens * problem.shape.top_k; }

  std::map<std::string, int> problems_;
  std::map<std::string, std::map<std::string, int>> of_kind_;
};

class RandomProblemsTest : public KernelShopTest {
 protected:
  // Both routings of the workload, the sparse one with empty and one-row experts.
  absl::Status Check(const Problem& problem, const Candidate& candidate, Verifier& verifier,
                     uint64_t seed) {
    ASSIGN_OR_RETURN(const LoadedKernel* kernel, shop_->Get(problem, candidate));
    ASSIGN_OR_RETURN(const Complaint complaint, verifier.Verify(*kernel, seed));
    return complaint ? absl::DataLossError(*complaint) : absl::OkStatus();
  }

  // `reference` against the host, all others against `reference`.
  void CheckAll(const Draw& draw, uint64_t seed) {
    SCOPED_TRACE(ProblemKey(draw.problem));
    const absl::Status loaded = workload_->Load(draw.problem, seed, {});
    ASSERT_TRUE(loaded.ok()) << loaded;
    Verifier verifier(*workload_, *stream_);
    std::vector<Candidate> candidates = draw.candidates;
    candidates.insert(candidates.begin(), BaseCandidate());
    for (const Candidate& candidate : candidates) {
      const absl::Status status = Check(draw.problem, candidate, verifier, seed);
      EXPECT_TRUE(status.ok()) << candidate.family->name << " " << candidate.config.Text() << "\n"
                               << status;
    }
  }
};

TEST_F(RandomProblemsTest, EachAgreesWithTheReference) {
  const int count = Variable("MOETUNE_PROBLEMS", 1000);
  Random random{Seed(), 1};
  const std::vector<Draw> draws = RandomDraws(count, 2'000'000, context_->device(), random);
  for (const Draw& draw : draws) {  // in the order in which they are needed
    shop_->Order(draw.problem, BaseCandidate());
    for (const Candidate& candidate : draw.candidates) shop_->Order(draw.problem, candidate);
  }
  Tally tally;
  for (size_t i = 0; i < draws.size(); ++i) {
    CheckAll(draws[i], Seed() + i);
    // A broken context fails all that follows.
    ASSERT_TRUE(stream_->Synchronize().ok());
    tally.Add(draws[i]);
    if ((i + 1) % 50 == 0) {
      std::cout << i + 1 << " of " << draws.size() << ": " << tally.Totals() << std::endl;
    }
  }
  std::cout << tally.Text();
}

// Indices of 64 bits and weights of the activations' type: compiled apart, so fewer.
TEST_F(RandomProblemsTest, WideIndicesAndNarrowWeightsAgreeWithTheHost) {
  const int count = std::max(1, Variable("MOETUNE_PROBLEMS", 1000) / 75);
  constexpr ArgTypes kTypes = {.index64 = true, .scale_fp32 = false};
  Random random{Seed(), 2};
  const std::vector<Draw> draws = RandomDraws(count, 20'000, context_->device(), random);
  KernelPool pool(*context_, CubinCache::Open(CubinFolderOfTest()).value(),
                  {.arg_types = kTypes, .max_kernels = 1000});
  std::vector<std::future<absl::StatusOr<const LoadedKernel*>>> kernels;
  for (const Draw& draw : draws) {
    for (const Candidate& candidate : draw.candidates) {
      kernels.push_back(
          std::async(std::launch::async, [&]() -> absl::StatusOr<const LoadedKernel*> {
            RETURN_IF_ERROR(context_->MakeCurrent());
            return pool.Get(draw.problem, candidate, "");
          }));
    }
  }
  auto next = kernels.begin();
  for (size_t i = 0; i < draws.size(); ++i) {
    for (const Candidate& candidate : draws[i].candidates) {
      SCOPED_TRACE(ProblemKey(draws[i].problem) + " " + candidate.config.Text());
      const absl::StatusOr<const LoadedKernel*> kernel = (next++)->get();
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
}

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) { return moetune::KernelShopMain(argc, argv); }
