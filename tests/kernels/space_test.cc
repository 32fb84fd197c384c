#include "kernels/space.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "kernels/registry.h"
#include "tests/testing/fictional_devices.h"

namespace moetune {
namespace {

using testing::HasSubstr;

Problem AnyProblem() { return ParseProblem("forward/bf16/plain/e8/t100x2/n64/k48").value(); }

// A family of no kernel: `low` below `high`, and the pair (2, 9) is not for fp32.
const Space& InventedSpace() {
  static const Space space = {{
      {"high", "", {{3}, {6}, {9}}},
      {"low", "", {{1}, {2}, {4}, {8}}},
      {"shape", "", {{1, 1}, {2, 1}}},
  }};
  return space;
}
const Family kInvented = {
    .name = "invented",
    .summary = "",
    .source = "",
    .min_compute_capability = 80,
    .space = InventedSpace,
    .check =
        [](const Problem& problem, const Config& config, const DeviceSpec&) {
          if (config.Get("low") >= config.Get("high")) {
            return absl::InvalidArgumentError("low must be below high");
          }
          if (problem.shape.dtype == Dtype::kFp32 && config.Get("high") == 9) {
            return absl::InvalidArgumentError("not for fp32");
          }
          return absl::OkStatus();
        },
};

Config Invented(int64_t low, int64_t high, Config::Values shape) {
  Config config = {{"low", low}, {"high", high}};
  config.Set("shape", std::move(shape));
  return config;
}

TEST(Space, LegalIsWhatTheSpaceHoldsAndTheFamilyTakes) {
  const Problem problem = AnyProblem();
  EXPECT_TRUE(CheckLegal(kInvented, problem, Invented(2, 9, {2, 1}), Fiction100()).ok());

  Config lacks = {{"high", 3}, {"low", 1}};
  Config surplus = Invented(1, 3, {1, 1});
  surplus.Set("stages", 4);
  const std::pair<Config, std::string> cases[] = {
      {lacks, "config of family invented lacks parameter 'shape'"},
      {surplus, "family invented has no parameter 'stages'"},
      {Invented(3, 9, {1, 1}), "invented low=3; allowed: 1 2 4 8"},
      {Invented(1, 3, {1, 2}), "invented shape=1,2; allowed: 1,1 2,1"},
      {Invented(1, 3, {1}), "invented shape=1; allowed: 1,1 2,1"},
      {Invented(8, 6, {1, 1}), "low must be below high"},
      {Config(), "lacks parameter 'high'"},
  };
  for (const auto& [config, said] : cases) {
    const absl::Status status = CheckLegal(kInvented, problem, config, Fiction100());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << config.Text();
    EXPECT_THAT(status.message(), HasSubstr(said));
    EXPECT_FALSE(IsLegal(kInvented, problem, config, Fiction100()));
  }
}

TEST(Space, NothingIsLegalBeforeTheFamilysFirstArchitecture) {
  const absl::Status status =
      CheckLegal(kInvented, AnyProblem(), Invented(1, 3, {1, 1}), Fable75());
  EXPECT_THAT(status.message(), HasSubstr("family invented needs sm_80; Fable 75 is sm_75"));
  EXPECT_TRUE(EnumerateLegal(kInvented, AnyProblem(), Fable75()).empty());
}

TEST(Space, EnumerationIsTheFilteredProductInLexicalOrder) {
  for (const std::string_view key :
       {"forward/bf16/plain/e8/t100x2/n64/k48", "forward/fp32/plain/e8/t100x2/n64/k48"}) {
    const Problem problem = ParseProblem(key).value();
    std::vector<Config> expected;
    for (const int64_t high : {3, 6, 9}) {
      for (const int64_t low : {1, 2, 4, 8}) {
        for (const int64_t shape : {1, 2}) {
          if (low < high && (high < 9 || problem.shape.dtype != Dtype::kFp32)) {
            expected.push_back(Invented(low, high, {shape, 1}));
          }
        }
      }
    }
    EXPECT_EQ(EnumerateLegal(kInvented, problem, Fiction100()), expected);
  }
}

TEST(Space, NeighboursAreOneLegalStepAway) {
  EXPECT_THAT(Neighbours(kInvented, AnyProblem(), Invented(2, 6, {1, 1}), Fiction100()),
              testing::UnorderedElementsAre(Invented(2, 3, {1, 1}), Invented(2, 9, {1, 1}),
                                            Invented(1, 6, {1, 1}), Invented(4, 6, {1, 1}),
                                            Invented(2, 6, {2, 1})));
  // high=3 would be illegal, low=8 too.
  EXPECT_THAT(Neighbours(kInvented, AnyProblem(), Invented(4, 6, {2, 1}), Fiction100()),
              testing::UnorderedElementsAre(Invented(4, 9, {2, 1}), Invented(2, 6, {2, 1}),
                                            Invented(4, 6, {1, 1})));
}

// What holds for every family that is listed, on problems that it takes.
class EveryFamily : public testing::TestWithParam<const Family*> {
 protected:
  const Family& family() const { return *GetParam(); }
  const Problem problem_ = AnyProblem();
  const DeviceSpec device_ = FindKnownDevice("h200").value();
};
INSTANTIATE_TEST_SUITE_P(, EveryFamily, testing::ValuesIn(Families().begin(), Families().end()),
                         [](const auto& test) { return std::string(test.param->name); });

TEST_P(EveryFamily, NamesItsParametersInOrderWithAscendingValues) {
  const std::vector<Parameter>& parameters = family().space().parameters;
  EXPECT_TRUE(std::ranges::is_sorted(parameters, std::ranges::less_equal(), &Parameter::name) ||
              parameters.size() < 2);
  for (const Parameter& parameter : parameters) {
    EXPECT_FALSE(parameter.meaning.empty()) << parameter.name;
    EXPECT_FALSE(parameter.values.empty()) << parameter.name;
    EXPECT_TRUE(std::ranges::is_sorted(parameter.values)) << parameter.name;
    EXPECT_EQ(std::ranges::adjacent_find(parameter.values), parameter.values.end())
        << parameter.name;
  }
}

TEST_P(EveryFamily, EveryParameterVariesOverItsLegalConfigs) {
  const std::vector<Config> legal = EnumerateLegal(family(), problem_, device_);
  for (const Parameter& parameter : family().space().parameters) {
    for (const Config::Values& values : parameter.values) {
      EXPECT_TRUE(std::ranges::any_of(
          legal, [&](const Config& c) { return *c.Find(parameter.name) == values; }))
          << "no legal config has " << parameter.name << "=" << values.front();
    }
  }
}

TEST_P(EveryFamily, ConfigsSurviveTheirText) {
  for (const Config& config : EnumerateLegal(family(), problem_, device_)) {
    EXPECT_EQ(ParseConfig(config.Text()).value(), config);
  }
}

TEST_P(EveryFamily, NeighbourhoodIsSymmetricAndLegal) {
  const std::vector<Config> legal = EnumerateLegal(family(), problem_, device_);
  const size_t stride = legal.size() / 200 + 1;
  for (size_t i = 0; i < legal.size(); i += stride) {
    for (const Config& neighbour : Neighbours(family(), problem_, legal[i], device_)) {
      EXPECT_TRUE(IsLegal(family(), problem_, neighbour, device_)) << neighbour.Text();
      EXPECT_THAT(Neighbours(family(), problem_, neighbour, device_), testing::Contains(legal[i]));
    }
  }
}

TEST_P(EveryFamily, LaunchesWholeWarpsThatADeviceHolds) {
  for (const Config& config : EnumerateLegal(family(), problem_, device_)) {
    const Plan plan = family().plan(problem_, config, device_, {});
    EXPECT_GT(plan.threads, 0);
    EXPECT_LE(plan.threads, 1024);
    EXPECT_EQ(plan.threads % 32, 0) << config.Text();
    EXPECT_LE(plan.dynamic_shared_bytes, device_.shared_bytes_per_block) << config.Text();
    EXPECT_GT(plan.grid[0] * plan.grid[1] * plan.grid[2], 0);
  }
}

TEST_P(EveryFamily, LaunchesNothingForNoRows) {
  Problem problem = problem_;
  problem.rows = 0;
  for (const Config& config : EnumerateLegal(family(), problem_, device_)) {
    const Plan plan = family().plan(problem, config, device_, {});
    EXPECT_EQ(plan.grid[0] * plan.grid[1] * plan.grid[2], 0) << config.Text();
  }
}

TEST_P(EveryFamily, PlansFromShapeTokensAndRowsAlone) {
  Problem other = problem_;
  other.routing = {.kinds = kBalanced | kZipf};
  for (const Config& config : EnumerateLegal(family(), problem_, device_)) {
    const Plan plan = family().plan(problem_, config, device_, {});
    const Plan same = family().plan(other, config, device_, {});
    EXPECT_TRUE(std::ranges::equal(plan.grid, same.grid)) << config.Text();
    EXPECT_EQ(plan.threads, same.threads);
    EXPECT_EQ(plan.dynamic_shared_bytes, same.dynamic_shared_bytes);
  }
}

TEST(ReferenceSpace, TakesEveryProblemOnEveryKnownDevice) {
  const Family& reference = *FindFamily("reference").value();
  for (const std::string_view key :
       {"forward/bf16/plain/e1/t1x1/n1/k1", "forward/fp32/gather/e7/t3x2/n17/k3",
        "forward/fp16-fp32/scatter+scale/e1000/t100000x8/n33333/k77777"}) {
    const Problem problem = ParseProblem(key).value();
    for (const KnownDevice& known : KnownDevices()) {
      EXPECT_FALSE(EnumerateLegal(reference, problem, known.spec).empty()) << key << known.alias;
    }
  }
}

TEST(ReferenceSpace, RefusesAGridThatIsTooLarge) {
  const Problem problem = ParseProblem("forward/bf16/plain/e1/t1073741824x1/n100000/k1").value();
  EXPECT_THAT(
      CheckLegal(*FindFamily("reference").value(), problem,
                 {{"block_k", 16}, {"block_m", 16}, {"block_n", 32}, {"threads", 64}}, Fiction100())
          .message(),
      HasSubstr("a grid holds 2147483647"));
}

}  // namespace
}  // namespace moetune
