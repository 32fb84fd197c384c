#include "tuner/sweep_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Keys(const absl::StatusOr<std::vector<Problem>>& problems) {
  EXPECT_TRUE(problems.ok()) << problems.status();
  std::vector<std::string> keys;
  for (const Problem& problem : *problems) keys.push_back(ProblemKey(problem));
  return keys;
}

std::string ErrorOf(std::string_view spec) {
  return std::string(ParseSweepSpec(spec).status().message());
}

TEST(SweepSpec, ProblemsAreOrderedByShapeThenTokensAndStandOnce) {
  SweepSpec spec;
  spec.problems = {ProblemOf("forward/bf16/plain/e4/t64x2/n8/k16"),
                   ProblemOf("forward/bf16/plain/e4/t64x2/n8/k8"),
                   ProblemOf("forward/bf16/plain/e4/t8x2/n8/k16"),
                   ProblemOf("forward/bf16/plain/e4/t64x2/n8/k16")};
  EXPECT_THAT(Keys(ExpandProblems(spec)), ElementsAre("forward/bf16/plain/e4/t8x2/n8/k16/softmax",
                                                      "forward/bf16/plain/e4/t64x2/n8/k16/softmax",
                                                      "forward/bf16/plain/e4/t64x2/n8/k8/softmax"));
}

TEST(SweepSpec, AModelIsCombinedWithEveryTokenCountAndRouting) {
  SweepSpec spec;
  spec.models = {*FindModel("qwen3-30b-a3b")};
  spec.tokens = {256, 16};
  spec.routing = {*ParseRouting("softmax"), *ParseRouting("zipf")};
  spec.fusions = {kGather};
  EXPECT_THAT(Keys(ExpandProblems(spec)),
              ElementsAre("forward/bf16/gather/e128/t16x8/n1536/k2048/softmax",
                          "forward/bf16/gather/e128/t16x8/n1536/k2048/zipf",
                          "forward/bf16/gather/e128/t256x8/n1536/k2048/softmax",
                          "forward/bf16/gather/e128/t256x8/n1536/k2048/zipf"));
}

TEST(SweepSpec, NothingToTuneIsAnError) {
  EXPECT_THAT(std::string(ExpandProblems({}).status().message()), HasSubstr("nothing to tune"));
}

TEST(SweepSpec, AProblemOfAModelThatIsNotValidIsAnError) {
  SweepSpec spec;
  spec.models = {*FindModel("mixtral-8x7b")};
  spec.tokens = {0};
  EXPECT_TRUE(absl::IsInvalidArgument(ExpandProblems(spec).status()));
}

TEST(SweepSpec, ARoutingThatCannotBeDrawnIsAnErrorBeforeAnythingStarts) {
  SweepSpec spec;
  spec.problems = {ProblemOf("forward/bf16/plain/e4/t64x2/n8/k16/softmax+zipf")};
  EXPECT_TRUE(ExpandProblems(spec).ok()) << "a mix is one problem";
  spec.problems[0].routing = {kSoftmax | kCounts, HistogramHash(std::vector<int64_t>{1, 2, 3, 4})};
  EXPECT_THAT(std::string(ExpandProblems(spec).status().message()), HasSubstr("not at hand"));
  EXPECT_TRUE(ReadHistogram("[1, 2, 3, 4]", spec.histograms).ok());
  EXPECT_TRUE(ExpandProblems(spec).ok());
}

TEST(SweepSpec, AFileSaysTheSameAsOptions) {
  const auto spec = ParseSweepSpec(R"(
      # all of one model, one problem more
      problems: "forward/fp16/plain/e4/t8x2/n8/k16"
      models { name: "qwen3-30b-a3b" }
      models { name: "mine" experts: 4 top_k: 2 hidden: 64 intermediate: 32 }
      fusions: ["gather", "scatter+scale"]
      tokens: [1, 16]
      routing: "zipf"
      dtype: "fp16")");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->problems.size(), 1u);
  EXPECT_EQ(spec->models[1].hidden, 64);
  EXPECT_THAT(spec->tokens, ElementsAre(1, 16));
  EXPECT_EQ(spec->dtype, Dtype::kFp16);
  EXPECT_EQ(Keys(ExpandProblems(*spec)).size(), 1u + 2 * 2 * 2);
}

TEST(SweepSpec, WhatAFileLeavesOutHasItsDefault) {
  const auto spec = ParseSweepSpec("models { name: 'mixtral-8x7b' }");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(Keys(ExpandProblems(*spec)).size(), 2u * 7);
}

TEST(SweepSpec, ErrorsOfSyntaxGiveLineAndColumn) {
  EXPECT_THAT(ErrorOf("tokens: 1\nmodel { name: 'x' }"), HasSubstr("sweep spec:2:"));
  EXPECT_THAT(ErrorOf("tokens: 1\nmodel { name: 'x' }"), HasSubstr("\"model\""));
  EXPECT_THAT(ErrorOf("models { name: "), HasSubstr("sweep spec:1:"));
}

TEST(SweepSpec, ErrorsOfMeaningGiveTheField) {
  EXPECT_THAT(ErrorOf("problems: 'forward/bf16/plain/e4/t8x2/n8/k16' problems: 'forwards/x'"),
              HasSubstr("problems[1]"));
  EXPECT_THAT(ErrorOf("models { name: 'mixtral' }"), HasSubstr("models[0]: unknown model"));
  EXPECT_THAT(ErrorOf("models { name: 'a' experts: 4 }"), HasSubstr("needs experts, top_k"));
  EXPECT_THAT(ErrorOf("ops: 'backward'"), HasSubstr("ops[0]"));
  EXPECT_THAT(ErrorOf("routing: 'softmaxx'"), HasSubstr("routing[0]"));
  EXPECT_THAT(ErrorOf("tokens: [16, -1]"), HasSubstr("tokens[1]: -1"));
  EXPECT_THAT(ErrorOf("dtype: 'bf16-fp32'"), HasSubstr("bf16-fp32"));
}

TEST(HfConfig, FindsTheFieldsUnderEachOfTheirNames) {
  const auto qwen = ReadHfConfig(R"({"num_experts": 128, "num_experts_per_tok": 8,
      "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768})",
                                 "qwen");
  ASSERT_TRUE(qwen.ok()) << qwen.status();
  EXPECT_EQ(qwen->experts, 128);
  EXPECT_EQ(qwen->intermediate, 768);
  const auto mixtral = ReadHfConfig(R"({"num_local_experts": 8, "num_experts_per_tok": 2,
      "hidden_size": 4096, "intermediate_size": 14336})",
                                    "mixtral");
  ASSERT_TRUE(mixtral.ok()) << mixtral.status();
  EXPECT_EQ(mixtral->intermediate, 14336);
  const auto nested = ReadHfConfig(R"({"hidden_size": 1, "text_config": {"n_routed_experts": 16,
      "num_experts_per_tok": 1, "hidden_size": 5120, "intermediate_size": 8192}})",
                                   "scout");
  ASSERT_TRUE(nested.ok()) << nested.status();
  EXPECT_EQ(nested->hidden, 5120);
}

TEST(HfConfig, ErrorsNameTheFieldAndItsValue) {
  const auto error = [](std::string_view json) {
    return std::string(ReadHfConfig(json, "config.json").status().message());
  };
  EXPECT_THAT(error("{\"num_experts\": 8"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{}"), HasSubstr("num_experts or num_local_experts or n_routed_experts"));
  EXPECT_THAT(error(R"({"num_experts": "many"})"), HasSubstr("num_experts is \"many\""));
  EXPECT_THAT(error(R"({"num_experts": 0})"), HasSubstr("num_experts is 0"));
  EXPECT_THAT(error(R"({"num_experts": 8, "num_experts_per_tok": null})"),
              HasSubstr("config.json: has no num_experts_per_tok"));
}

TEST(Histogram, IsNamedByItsCounts) {
  Histograms histograms;
  const auto routing = ReadHistogram("[12, 0, 7]", histograms);
  ASSERT_TRUE(routing.ok()) << routing.status();
  EXPECT_EQ(routing->kinds, kCounts);
  EXPECT_THAT(histograms.at(routing->counts_hash), ElementsAre(12, 0, 7));
  EXPECT_NE(ReadHistogram("[12, 0, 8]", histograms)->counts_hash, routing->counts_hash);
}

TEST(Histogram, WhatIsNoListOfCountsIsAnError) {
  Histograms histograms;
  for (const char* text : {"", "{}", "[]", "[1, -2]", "[1.5]", "[\"1\"]", "[1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadHistogram(text, histograms).status())) << text;
  }
  EXPECT_TRUE(histograms.empty());
}

}  // namespace
}  // namespace moetune
