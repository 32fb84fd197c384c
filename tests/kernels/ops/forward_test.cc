#include <cmath>
#include <string_view>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "kernels/registry.h"

namespace moetune {
namespace {

using testing::HasSubstr;

Problem ProblemOf(std::string_view key) { return ParseProblem(key).value(); }

// Arguments that fit the problem; the pointers lead nowhere, for a check must not follow them.
MoeArgs ArgsFor(const Problem& problem) {
  static char nowhere;
  return {.x = &nowhere,
          .w = &nowhere,
          .y = &nowhere,
          .row_counts = &nowhere,
          .row_index = &nowhere,
          .scale = &nowhere,
          .preact = &nowhere,
          .workspace = &nowhere,
          .tokens = problem.tokens,
          .rows = problem.rows,
          .experts = problem.shape.experts,
          .top_k = problem.shape.top_k,
          .n = problem.shape.n,
          .k = problem.shape.k};
}

absl::Status Check(const Problem& problem, const MoeArgs& args) {
  return OpOf(OpKind::kForward).check_args(problem.shape, args);
}

struct Change {
  void (*apply)(MoeArgs& args);
  std::string_view said;
};

TEST(Forward, ArgumentsOfAnotherShapeAreRefusedByName) {
  const Problem problem = ProblemOf("forward/bf16/scatter+scale/e8/t32x2/n64/k48/softmax");
  ASSERT_TRUE(Check(problem, ArgsFor(problem)).ok());
  const Change changes[] = {
      {[](MoeArgs& a) { a.experts = 9; }, "args.experts is 9; the shape has 8"},
      {[](MoeArgs& a) { a.top_k = 0; }, "args.top_k is 0; the shape has 2"},
      {[](MoeArgs& a) { a.n = 65; }, "args.n is 65; the shape has 64"},
      {[](MoeArgs& a) { a.k = -48; }, "args.k is -48; the shape has 48"},
      {[](MoeArgs& a) { a.rows = 65; }, "args.rows is 65; allowed: 0 to tokens * top_k = 64"},
      {[](MoeArgs& a) { a.rows = -1; }, "args.rows is -1; allowed: 0 to tokens * top_k = 64"},
      {[](MoeArgs& a) { a.tokens = -1; }, "args.tokens is -1"},
      {[](MoeArgs& a) { a.tokens = kMaxSize; }, "args.tokens is 1073741824"},
      {[](MoeArgs& a) { a.tokens = INT64_MAX; }, "args.tokens is 9223372036854775807"},
      {[](MoeArgs& a) { a.tokens = INT64_MIN; }, "args.tokens is -9223372036854775808"},
  };
  for (const Change& change : changes) {
    MoeArgs args = ArgsFor(problem);
    change.apply(args);
    const absl::Status status = Check(problem, args);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(std::string(change.said)));
  }
}

// The default of both: nothing is divided by it.
TEST(Forward, ATopKBelowOneIsRefusedThoughTheShapeHasItToo) {
  Problem problem = ProblemOf("forward/bf16/scatter+scale/e8/t32x2/n64/k48/softmax");
  for (const int64_t top_k : {0, -1}) {
    problem.shape.top_k = top_k;
    const absl::Status status = Check(problem, ArgsFor(problem));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(),
                HasSubstr(absl::StrFormat("args.top_k is %d; allowed: 1 and more", top_k)));
  }
}

TEST(Forward, ThePointersThatAFusionNeedsMustBeThere) {
  const Change changes[] = {
      {[](MoeArgs& a) { a.x = nullptr; }, "args.x is null"},
      {[](MoeArgs& a) { a.w = nullptr; }, "args.w is null"},
      {[](MoeArgs& a) { a.y = nullptr; }, "args.y is null"},
      {[](MoeArgs& a) { a.row_counts = nullptr; }, "args.row_counts is null"},
      {[](MoeArgs& a) { a.row_index = nullptr; }, "args.row_index is null"},
      {[](MoeArgs& a) { a.scale = nullptr; }, "args.scale is null"},
  };
  struct Case {
    std::string_view key;
    size_t needed;  // of the changes above
  };
  for (const auto& [key, needed] : {Case{"forward/bf16/plain/e8/t32x2/n64/k48", 4},
                                    Case{"forward/bf16/gather/e8/t32x2/n64/k48", 5},
                                    Case{"forward/bf16/scatter/e8/t32x2/n64/k48", 5},
                                    Case{"forward/bf16/scatter+scale/e8/t32x2/n64/k48", 6}}) {
    const Problem problem = ProblemOf(key);
    for (size_t i = 0; i < std::size(changes); ++i) {
      MoeArgs args = ArgsFor(problem);
      changes[i].apply(args);
      const absl::Status status = Check(problem, args);
      EXPECT_EQ(status.ok(), i >= needed) << key << ", " << changes[i].said;
      if (!status.ok()) {
        EXPECT_THAT(status.message(), HasSubstr(std::string(changes[i].said)));
      }
    }
  }
}

TEST(Forward, PreactAndCombineNeedTheirMemory) {
  const Problem preact = ProblemOf("forward/bf16/gather+swiglu+preact/e8/t32x2/n64/k48");
  MoeArgs args = ArgsFor(preact);
  args.workspace = nullptr;
  EXPECT_TRUE(Check(preact, args).ok());
  args.preact = nullptr;
  EXPECT_THAT(Check(preact, args).message(), HasSubstr("args.preact is null"));

  const Problem combine = ProblemOf("forward/bf16/combine/e8/t32x2/n64/k48");
  args = ArgsFor(combine);
  args.preact = nullptr;
  EXPECT_TRUE(Check(combine, args).ok());
  const Change changes[] = {
      {[](MoeArgs& a) { a.row_index = nullptr; }, "args.row_index is null"},
      {[](MoeArgs& a) { a.scale = nullptr; }, "args.scale is null"},
      {[](MoeArgs& a) { a.workspace = nullptr; }, "args.workspace is null; fusion combine needs"},
  };
  for (const Change& change : changes) {
    MoeArgs lacking = args;
    change.apply(lacking);
    EXPECT_THAT(Check(combine, lacking).message(), HasSubstr(std::string(change.said)));
  }
}

// A rank may get no row, and its tokens' sums are zeros all the same.
TEST(Forward, CombineOfNoRowsNeedsWhatItWritesAndNoInputs) {
  const Problem problem = ProblemOf("forward/bf16/combine/e8/t32x2/n64/k48");
  MoeArgs args = ArgsFor(problem);
  args.rows = 0;
  args.x = args.row_index = nullptr;
  EXPECT_TRUE(Check(problem, args).ok());
  args.y = nullptr;
  EXPECT_THAT(Check(problem, args).message(), HasSubstr("args.y is null"));
  args.tokens = 0;
  EXPECT_TRUE(Check(problem, args).ok());
}

TEST(Forward, ALaunchOfNoRowsNeedsNoPointers) {
  const Problem problem = ProblemOf("forward/bf16/scatter+scale/e8/t32x2/n64/k48");
  EXPECT_TRUE(Check(problem, {.experts = 8, .top_k = 2, .n = 64, .k = 48}).ok());
}

TEST(Forward, FlopsAreTwoPerMultiplyAddOfTheRoutedRows) {
  const Op& op = OpOf(OpKind::kForward);
  EXPECT_EQ(op.flops(ProblemOf("forward/bf16/plain/e8/t32x2/n64/k48")), 2.0 * 64 * 64 * 48);
  EXPECT_EQ(op.flops(ProblemOf("forward/bf16/plain/e8/t32x2/n64/k48/r10")), 2.0 * 10 * 64 * 48);
  EXPECT_EQ(op.flops(ProblemOf("forward/fp32/gather/e1024/t1000000x8/n100000/k100000")),
            2.0 * 8e6 * 1e5 * 1e5);
}

TEST(Forward, BytesAreTheTouchedWeightsAndEachActivationOnce) {
  const Op& op = OpOf(OpKind::kForward);
  const auto bytes = [&](std::string_view key, int64_t touched) {
    return op.bytes(ProblemOf(key), touched);
  };
  // weights, rows of x, rows of y
  EXPECT_EQ(bytes("forward/bf16/plain/e8/t32x2/n64/k48", 8),
            2.0 * (8 * 64 * 48 + 64 * 48 + 64 * 64));
  EXPECT_EQ(bytes("forward/bf16/plain/e8/t32x2/n64/k48", 3),
            2.0 * (3 * 64 * 48 + 64 * 48 + 64 * 64));
  EXPECT_EQ(bytes("forward/bf16/gather/e8/t32x2/n64/k48", 8),
            2.0 * (8 * 64 * 48 + 32 * 48 + 64 * 64))
      << "a token's row is read once for all its slots";
  EXPECT_EQ(bytes("forward/bf16/gather/e8/t32x2/n64/k48/r5", 2),
            2.0 * (2 * 64 * 48 + 5 * 48 + 5 * 64));
  EXPECT_EQ(bytes("forward/fp16-fp32/scatter/e8/t32x2/n64/k48", 8),
            2.0 * (8 * 64 * 48 + 64 * 48) + 4.0 * 64 * 64);
  EXPECT_EQ(bytes("forward/fp32/plain/e8/t32x2/n64/k48", 8),
            4.0 * (8 * 64 * 48 + 64 * 48 + 64 * 64));
  EXPECT_EQ(bytes("forward/bf16/swiglu/e8/t32x2/n64/k48", 8),
            2.0 * (8 * 64 * 48 + 64 * 48 + 64 * 32));
  EXPECT_EQ(bytes("forward/bf16/swiglu+preact/e8/t32x2/n64/k48", 8),
            2.0 * (8 * 64 * 48 + 64 * 48 + 64 * (32 + 64)));
  EXPECT_EQ(bytes("forward/bf16/combine/e8/t32x2/n64/k48", 8),
            2.0 * (8 * 64 * 48 + 64 * 48 + 32 * 64))
      << "what passes through the workspace is not compulsory";
}

}  // namespace
}  // namespace moetune
