#include "tuner/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moetune {
namespace {

using ::testing::HasSubstr;

TEST(Model, ATypoIsAnsweredWithTheNearestName) {
  const auto model = FindModel("mixtral-8x7");
  EXPECT_TRUE(absl::IsInvalidArgument(model.status()));
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("did you mean 'mixtral-8x7b'"));
}

TEST(Model, MakesTheTwoGemmsOfTheExpertMlp) {
  const std::vector<Shape> shapes = ModelShapes(*FindModel("qwen3-30b-a3b"), {}, Dtype::kBf16);
  ASSERT_EQ(shapes.size(), 2u);
  EXPECT_EQ(ProblemKey({shapes[0], 16, 128, {}}),
            "forward/bf16/gather/e128/t16x8/n1536/k2048/softmax");
  EXPECT_EQ(ProblemKey({shapes[1], 16, 128, {}}),
            "forward/bf16/scatter+scale/e128/t16x8/n2048/k768/softmax");
}

TEST(Model, AFusionGoesOnlyToTheGemmThatCanHaveIt) {
  const Model model = *FindModel("mixtral-8x7b");
  const auto fusions_of = [&](std::vector<Fusions> asked) {
    std::vector<std::pair<int64_t, Fusions>> made;  // by n
    for (const Shape& shape : ModelShapes(model, asked, Dtype::kFp16)) {
      EXPECT_EQ(shape.dtype, Dtype::kFp16);
      EXPECT_EQ(shape.output, Dtype::kFp16);
      made.emplace_back(shape.n, shape.fusions);
    }
    return made;
  };
  EXPECT_THAT(fusions_of({kGather}), ::testing::ElementsAre(std::pair(28672, kGather)));
  EXPECT_THAT(fusions_of({kScatter}), ::testing::ElementsAre(std::pair(4096, kScatter)));
  EXPECT_THAT(fusions_of({0}), ::testing::ElementsAre(std::pair(28672, 0), std::pair(4096, 0)));
  EXPECT_EQ(fusions_of({0, kGather, kScatter | kScale}).size(), 4u);
  EXPECT_THAT(fusions_of({kGather | kSwiglu, kCombine}),
              ::testing::ElementsAre(std::pair(28672, kGather | kSwiglu),
                                     std::pair(4096, static_cast<Fusions>(kCombine))));
  EXPECT_THAT(fusions_of({kSwiglu | kPreact}),
              ::testing::ElementsAre(std::pair(28672, kSwiglu | kPreact)));
}

TEST(Model, AShapeIsOfTheModelWhoseSizesItHasWhateverIsFused) {
  const Model qwen = *FindModel("qwen3-30b-a3b");
  const auto is_of = [&](std::string_view key) {
    return IsOfModel(ParseProblem(key)->shape, qwen);
  };
  EXPECT_TRUE(is_of("forward/bf16/gather/e128/t16x8/n1536/k2048"));
  EXPECT_TRUE(is_of("forward/fp16-fp32/plain/e128/t16x8/n2048/k768"));
  EXPECT_TRUE(is_of("forward/bf16/gather/e16/t16x8/n1536/k2048/r16"));  // one rank of eight
  EXPECT_FALSE(is_of("forward/bf16/gather/e128/t16x8/n1536/k768"));
  EXPECT_FALSE(is_of("forward/bf16/gather/e128/t16x4/n1536/k2048"));
  EXPECT_FALSE(is_of("forward/bf16/gather/e48/t16x8/n1536/k2048"));
  EXPECT_FALSE(is_of("forward/bf16/gather/e256/t16x8/n1536/k2048"));
}

TEST(Model, EveryKnownModelGivesValidShapes) {
  for (const Model& model : KnownModels()) {
    for (const Shape& shape : ModelShapes(model, {}, Dtype::kBf16)) {
      EXPECT_TRUE(ValidateShape(shape).ok()) << model.name << ": " << ValidateShape(shape);
    }
  }
}

}  // namespace
}  // namespace moetune
