#include "cli/problem_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/text_file.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RoutingCountsTest : public ::testing::Test {
 protected:
  absl::StatusOr<SweepSpec> Read(const std::string& json, ProblemSetOptions set) {
    WriteFile(folder_.File("counts"), json);
    set.routing_counts = folder_.File("counts");
    return ReadProblemSet(set);
  }

  std::string Error(const std::string& json, const ProblemSetOptions& set) {
    return std::string(Read(json, set).status().message());
  }

  const ProblemSetOptions mixtral_ = {.models = {"mixtral-8x7b"}, .tokens = "1,4"};
  TempFolder folder_;
};

TEST_F(RoutingCountsTest, EachTokenCountHasItsOwn) {
  const auto spec = Read(
      R"({"mixtral-8x7b": {"1": [1,0,0,0,0,0,0,1], "4": [8,0,0,0,0,0,0,0], "64": [0]}})", mixtral_);
  ASSERT_TRUE(spec.ok()) << spec.status();
  const auto problems = ExpandProblems(*spec);
  ASSERT_TRUE(problems.ok()) << problems.status();
  ASSERT_EQ(problems->size(), 4u) << "gate_up and down, for two token counts";
  const auto counts = [&](const Problem& problem) {
    return spec->histograms.at(problem.routing.counts_hash);
  };
  EXPECT_EQ((*problems)[0].tokens, 1);
  EXPECT_THAT(counts((*problems)[0]), ElementsAre(1, 0, 0, 0, 0, 0, 0, 1));
  EXPECT_EQ((*problems)[1].tokens, 4);
  EXPECT_THAT(counts((*problems)[1]), ElementsAre(8, 0, 0, 0, 0, 0, 0, 0));
}

TEST_F(RoutingCountsTest, AnErrorNamesTheModelAndTheTokens) {
  EXPECT_THAT(Error("[1]", mixtral_), HasSubstr("is no JSON object"));
  EXPECT_THAT(Error(R"({"a": {}, "b": {}})", mixtral_),
              HasSubstr("none for 'mixtral-8x7b', but for a, b"));
  EXPECT_THAT(Error(R"({"mixtral-8x7b": {"1": [1,0,0,0,0,0,0,1]}})", mixtral_),
              HasSubstr("routing counts of mixtral-8x7b: there are none for '4', but for 1"));
  EXPECT_THAT(Error(R"({"mixtral-8x7b": {"1": [1,0,0,0,0,0,0,2]}})", mixtral_),
              HasSubstr("mixtral-8x7b, 1 tokens: 3 rows, but 1 tokens with top 2 have 2"));
  EXPECT_THAT(Error(R"({"mixtral-8x7b": {"1": [1, 1]}})", mixtral_), HasSubstr("2 experts"));
  EXPECT_THAT(Error(R"({"mixtral-8x7b": {"1": "many"}})", mixtral_), HasSubstr("JSON list"));
}

TEST_F(RoutingCountsTest, AnotherRoutingBesideThemIsRefused) {
  ProblemSetOptions set = mixtral_;
  set.routing = "zipf";
  EXPECT_THAT(Error("{}", set), HasSubstr("not both"));
}

TEST(ProblemSet, ListsOfModelsAreRefusedWhereThereIsNone) {
  const std::string key = "forward/bf16/plain/e8/t64x2/n1024/k512/softmax";
  for (const ProblemSetOptions& set :
       {ProblemSetOptions{.problems = {key}, .ops = "forward"},
        ProblemSetOptions{.problems = {key}, .fusions = "gather"},
        ProblemSetOptions{.problems = {key}, .tokens = "16"},
        ProblemSetOptions{.problems = {key}, .routing_counts = "none"}}) {
    EXPECT_THAT(ReadProblemSet(set).status().message(), HasSubstr("a --problem has its own"));
  }
}

TEST(ReadTextFile, AnEmptyFileIsReadAndAReasonIsGivenForTheOthers) {
  TempFolder folder;
  WriteFile(folder.File("empty"), "");
  EXPECT_EQ(ReadTextFile(folder.File("empty")).value(), "");
  EXPECT_THAT(ReadTextFile(folder.File("none")).status().message(),
              HasSubstr("none': No such file"));
  EXPECT_THAT(ReadTextFile(folder.path()).status().message(), HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace moetune
