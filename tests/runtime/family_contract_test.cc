// What every family promises, on every architecture: its legal configs compile to kernels that keep
// everything in registers, and its device half asks for each parameter that it uses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/registry.h"
#include "runtime/compiler.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using testing::HasSubstr;

using Instance = std::tuple<const Family*, std::string>;

// Every family on every architecture that it runs on.
std::vector<Instance> EveryInstance() {
  std::vector<Instance> instances;
  for (const Family* family : Families()) {
    for (const char* arch : {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"}) {
      const Problem problem = ProblemOf("forward/bf16/plain/e8/t64x2/n256/k256");
      if (!EnumerateLegal(*family, problem, *FindKnownDevice(arch)).empty()) {
        instances.emplace_back(family, arch);
      }
    }
  }
  return instances;
}

// A problem of every op, dtypes and fusions.
std::vector<Problem> EveryKind() {
  std::vector<Problem> problems;
  for (const std::string dtype : {"bf16", "fp16", "fp32", "bf16-fp32", "fp16-fp32"}) {
    for (const std::string fusions : {"plain", "gather", "scatter", "scatter+scale", "swiglu",
                                      "gather+swiglu", "gather+swiglu+preact", "combine"}) {
      problems.push_back(
          ProblemOf("forward/" + dtype + "/" + fusions + "/e128/t1024x8/n1536/k2048"));
    }
  }
  return problems;
}

// The same kinds at very different sizes.
std::vector<Problem> OtherSizes(const Problem& problem) {
  std::vector<Problem> problems;
  for (const int64_t tokens : {1, 100, 100'000}) {
    for (const int64_t width : {64, 8192}) {
      Problem other = problem;
      other.tokens = tokens;
      other.rows = tokens * other.shape.top_k;
      other.shape.n = other.shape.k = width;
      problems.push_back(other);
    }
  }
  return problems;
}

class FamilyContract : public testing::TestWithParam<Instance> {
 protected:
  const Family& family() const { return *std::get<0>(GetParam()); }
  const std::string& arch() const { return std::get<1>(GetParam()); }

  template <typename T>
  const T& OneOf(const std::vector<T>& values) {
    return values[random_() % values.size()];
  }

  const DeviceSpec device_ = *FindKnownDevice(arch());
  std::mt19937_64 random_{20261123};
};

TEST_P(FamilyContract, LegalConfigsCompileWithoutSpillsOrStack) {
  const absl::StatusOr<const NvrtcApi*> nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) GTEST_SKIP() << nvrtc.status();
  constexpr int kSamples = 6;
  for (int sample = 0; sample < kSamples;) {
    const Problem problem = OneOf(EveryKind());
    const std::vector<Config> legal = EnumerateLegal(family(), problem, device_);
    if (legal.empty()) continue;
    ++sample;
    const Candidate candidate = {&family(), OneOf(legal)};
    const ArgTypes types = {.index64 = random_() % 2 == 0, .scale_fp32 = random_() % 2 == 0};
    SCOPED_TRACE(ProblemKey(problem) + " " + candidate.config.Text());
    const auto cubin = Compile(**nvrtc, MakeSource(problem.shape, candidate, types), arch());
    ASSERT_TRUE(cubin.ok()) << cubin.status();
    EXPECT_EQ(cubin->facts.spill_bytes, 0);
    EXPECT_EQ(cubin->facts.stack_bytes, 0);
    EXPECT_FALSE(cubin->facts.wgmma_serialised);
    EXPECT_GT(cubin->facts.registers, 0);
  }
}

TEST_P(FamilyContract, AMissingParameterIsACompileErrorThatNamesIt) {
  const absl::StatusOr<const NvrtcApi*> nvrtc = OpenNvrtc();
  if (!nvrtc.ok()) GTEST_SKIP() << nvrtc.status();
  const Problem problem = ProblemOf("forward/bf16/scatter+scale/e128/t1024x8/n1536/k2048");
  const std::vector<Config> legal = EnumerateLegal(family(), problem, device_);
  ASSERT_FALSE(legal.empty());
  const Source whole = MakeSource(problem.shape, {&family(), legal.front()});
  for (const std::string& option : whole.options) {
    Source source = whole;
    std::erase(source.options, option);
    const absl::Status status = Compile(**nvrtc, source, arch()).status();
    const std::string name = option.substr(2, option.find('=') - 2);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(status.ToString(), HasSubstr(name));
  }
}

// A kernel is loaded once for all sizes, with the shared memory that its first problem takes.
TEST_P(FamilyContract, ThreadsAndSharedMemoryDoNotDependOnSizes) {
  for (const Problem& problem : EveryKind()) {
    for (const Config& config : EnumerateLegal(family(), problem, device_)) {
      const Plan plan = family().plan(problem, config, device_, {});
      for (const Problem& other : OtherSizes(problem)) {
        if (!IsLegal(family(), other, config, device_)) continue;
        const Plan other_plan = family().plan(other, config, device_, {});
        ASSERT_EQ(plan.threads, other_plan.threads) << config.Text();
        ASSERT_EQ(plan.dynamic_shared_bytes, other_plan.dynamic_shared_bytes) << config.Text();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyContract, testing::ValuesIn(EveryInstance()),
                         [](const auto& instance) {
                           return absl::StrFormat("%s_%s", std::get<0>(instance.param)->name,
                                                  std::get<1>(instance.param));
                         });

}  // namespace
}  // namespace moetune
