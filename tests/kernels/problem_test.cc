#include "kernels/problem.h"

#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/hash/hash_testing.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"

namespace moetune {
namespace {

using testing::HasSubstr;

constexpr char kKey[] = "forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax";

Problem Valid() { return ParseProblem(kKey).value(); }

// kKey with its part `index` replaced.
std::string WithPart(size_t index, std::string_view part) {
  std::vector<std::string> parts = absl::StrSplit(kKey, '/');
  parts[index] = part;
  return absl::StrJoin(parts, "/");
}

TEST(ProblemKey, ReadsAsTheFieldsItNames) {
  const Problem problem = Valid();
  EXPECT_EQ(problem.shape, (Shape{.op = OpKind::kForward,
                                  .dtype = Dtype::kBf16,
                                  .output = Dtype::kBf16,
                                  .fusions = kGather,
                                  .experts = 128,
                                  .top_k = 8,
                                  .n = 1536,
                                  .k = 2048}));
  EXPECT_EQ(problem.tokens, 1024);
  EXPECT_EQ(problem.rows, 8192);
  EXPECT_EQ(problem.routing, (Routing{.kinds = kSoftmax}));
}

Problem RandomProblem(std::mt19937_64& random) {
  const auto uniform = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const auto size = [&](int64_t max) { return uniform(1, int64_t{1} << uniform(0, 40)) % max + 1; };
  const std::pair<Dtype, Dtype> dtypes[] = {{Dtype::kBf16, Dtype::kBf16},
                                            {Dtype::kFp16, Dtype::kFp16},
                                            {Dtype::kFp32, Dtype::kFp32},
                                            {Dtype::kBf16, Dtype::kFp32},
                                            {Dtype::kFp16, Dtype::kFp32}};
  const Fusions fusions[] = {
      0, kGather, kScatter, kScatter | kScale, kSwiglu, kGather | kSwiglu | kPreact, kCombine};
  Problem problem;
  Shape& shape = problem.shape;
  std::tie(shape.dtype, shape.output) = dtypes[uniform(0, 4)];
  shape.fusions = fusions[uniform(0, 6)];
  shape.experts = size(1000);
  shape.top_k = size(64);
  shape.n = size(1'000'000);
  shape.k = size(1'000'000);
  problem.tokens = size(kMaxSize / shape.top_k);
  problem.rows = problem.tokens * shape.top_k;
  if (shape.top_k > shape.experts || uniform(0, 1) == 0) problem.rows = uniform(1, problem.rows);
  problem.routing.kinds = static_cast<uint32_t>(uniform(1, 15));
  if ((problem.routing.kinds & kCounts) != 0) {
    problem.routing.counts_hash = static_cast<uint32_t>(uniform(1, 0xffffffff));
  }
  return problem;
}

TEST(ProblemKey, EveryValidProblemReadsBackAsItself) {
  std::mt19937_64 random(1);
  int valid = 0;
  for (int i = 0; i < 20000; ++i) {
    const Problem problem = RandomProblem(random);
    if (!ValidateProblem(problem).ok()) continue;
    ++valid;
    const std::string key = ProblemKey(problem);
    const absl::StatusOr<Problem> parsed = ParseProblem(key);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ASSERT_EQ(*parsed, problem) << key;
    ASSERT_EQ(ProblemKey(*parsed), key);
  }
  EXPECT_GT(valid, 15000) << "too few of the random problems are valid to prove anything";
}

TEST(ProblemKey, NamesEachFieldInItsCanonicalForm) {
  Problem problem = Valid();
  EXPECT_EQ(ProblemKey(problem), kKey);
  problem.shape.output = Dtype::kFp32;
  problem.shape.fusions = kScatter | kScale;
  problem.rows = 77;
  problem.routing = {.kinds = kZipf | kBalanced | kCounts, .counts_hash = 0xab};
  EXPECT_EQ(ProblemKey(problem),
            "forward/bf16-fp32/scatter+scale/e128/t1024x8/n1536/k2048/r77/"
            "balanced+zipf+counts-000000ab");
  problem.shape.fusions = 0;
  EXPECT_THAT(ProblemKey(problem), HasSubstr("/plain/"));
}

TEST(ProblemKey, OtherSpellingsOfAProblemReadAsTheSame) {
  const std::string_view canonical = "forward/bf16/scatter+scale/e16/t4x2/n8/k8/balanced+softmax";
  for (const std::string_view other :
       {"forward/bf16/scale+scatter/e16/t4x2/n8/k8/balanced+softmax",
        "forward/bf16/scatter+scale/e16/t4x2/n8/k8/softmax+balanced",
        "forward/bf16/scatter+scale/e16/t4x2/n8/k8/r8/balanced+softmax",
        "forward/bf16/scatter+scale/e016/t04x02/n8/k8/balanced+softmax"}) {
    const absl::StatusOr<Problem> parsed = ParseProblem(other);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(ProblemKey(*parsed), canonical);
  }
}

TEST(ProblemKey, AMissingRoutingReadsAsSoftmax) {
  EXPECT_EQ(ParseProblem("forward/bf16/gather/e128/t1024x8/n1536/k2048").value(), Valid());
  EXPECT_EQ(ParseProblem("forward/bf16/gather/e4/t16x8/n8/k8/r9")->routing,
            (Routing{.kinds = kSoftmax}));
}

TEST(ProblemKey, AMalformedPartIsNamedWithItsValueAndWhatIsAllowed) {
  struct Malformed {
    std::string key;
    std::vector<std::string> said;
  };
  const Malformed cases[] = {
      {"", {"has 1 parts", "OP/DTYPE/FUSIONS/eE/tTxTOPK/nN/kK"}},
      {"forward/bf16/plain", {"'forward/bf16/plain' has 3 parts", "such as forward/bf16/gather"}},
      {WithPart(0, "foward"), {"unknown op 'foward'", "did you mean 'forward'?"}},
      {WithPart(0, ""), {"unknown op ''", "known: forward"}},
      {WithPart(1, "bf61"), {"unknown dtype 'bf61'", "'bf16'", "fp32, bf16-fp32, fp16-fp32"}},
      {WithPart(1, "bf16-"), {"unknown dtype ''", "known: bf16"}},
      {WithPart(1, "fp32-bf16"), {"dtype 'fp32-bf16'", "only bf16-fp32 and fp16-fp32"}},
      {WithPart(1, "bf16-bf16"), {"dtype 'bf16-bf16'", "only bf16-fp32 and fp16-fp32"}},
      {WithPart(2, "gathr"), {"unknown fusion 'gathr'", "did you mean 'gather'?", "scatter"}},
      {WithPart(2, ""), {"unknown fusion ''", "known: plain"}},
      {WithPart(2, "gather+"), {"unknown fusion ''"}},
      {WithPart(2, "gather+gather"), {"fusion 'gather' stands twice"}},
      {WithPart(2, "plain+gather"), {"'plain'", "alone"}},
      {WithPart(3, "128"), {"expected 'eNUMBER' (experts), found '128'"}},
      {WithPart(3, "e"), {"experts '' is not an integer from 1"}},
      {WithPart(3, "e0"), {"experts '0' is not an integer from 1 to 1073741824"}},
      {WithPart(3, "e-1"), {"experts '-1' is not an integer from 1"}},
      {WithPart(3, "e12.5"), {"experts '12.5' is not an integer"}},
      {WithPart(3, "e1073741825"), {"experts '1073741825'", "to 1073741824"}},
      {WithPart(4, "t1024"), {"expected 'tTOKENSxTOP_K'", "found 't1024'"}},
      {WithPart(4, "1024x8"), {"expected 'tNUMBER' (tokens), found '1024'"}},
      {WithPart(4, "t0x8"), {"tokens '0' is not an integer from 1"}},
      {WithPart(4, "tx8"), {"tokens '' is not an integer"}},
      {WithPart(4, "t1024x"), {"top_k '' is not an integer from 1"}},
      {WithPart(4, "t1024x0"), {"top_k '0' is not an integer from 1"}},
      {WithPart(4, "t1024x8x2"), {"top_k '8x2' is not an integer"}},
      {WithPart(4, "t1073741824x8"), {"tokens * top_k", "1073741824 * 8", "at most 1073741824"}},
      {WithPart(4, "t1x129"), {"top_k 129 is more than the 128 experts", "/rROWS"}},
      {WithPart(5, "1536"), {"expected 'nNUMBER' (n), found '1536'"}},
      {WithPart(5, "n0"), {"n '0' is not an integer from 1"}},
      {WithPart(6, "n2048"), {"expected 'kNUMBER' (k), found 'n2048'"}},
      {WithPart(6, "k99999999999999999999"), {"k '99999999999999999999'", "to 1073741824"}},
      {WithPart(7, "r0"), {"rows '0' is not an integer from 1"}},
      {WithPart(7, "r8193"), {"rows must be from 1 to tokens * top_k = 8192, not 8193"}},
      {WithPart(7, "softmx"), {"unknown routing 'softmx'", "did you mean 'softmax'?", "zipf"}},
      {WithPart(7, ""), {"unknown routing ''", "known: balanced"}},
      {WithPart(7, "zipf+zipf"), {"routing 'zipf' stands twice"}},
      {WithPart(7, "counts-"), {"'counts-'", "8 hexadecimal digits"}},
      {WithPart(7, "counts-123"), {"'counts-123'", "8 hexadecimal digits"}},
      {WithPart(7, "counts-0x123456"), {"'counts-0x123456'", "8 hexadecimal digits"}},
      {WithPart(7, "counts-00000000"), {"'counts-00000000'", "not all zero"}},
      {WithPart(7, "counts-12345678+counts-12345678"), {"stands twice"}},
      {WithPart(7, "softmax/r7"), {"'r7' stands after the routing"}},
      {WithPart(7, "softmax/"), {"'' stands after the routing"}},
  };
  for (const Malformed& malformed : cases) {
    const absl::Status status = ParseProblem(malformed.key).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << malformed.key;
    for (const std::string& said : malformed.said) EXPECT_THAT(status.message(), HasSubstr(said));
  }
}

TEST(ValidateProblem, RefusesWhatAKeyCannotSay) {
  struct Broken {
    void (*breakage)(Problem& problem);
    std::string_view said;
  };
  const Broken cases[] = {
      {[](Problem& p) { p.shape.experts = 0; }, "at least 1, not 0, 8, 1536 and 2048"},
      {[](Problem& p) { p.shape.k = -5; }, "at least 1, not 128, 8, 1536 and -5"},
      {[](Problem& p) { p.shape.n = kMaxSize + 1; }, "each be at most 1073741824"},
      {[](Problem& p) { p.shape.n = p.shape.k = kMaxSize; }, "experts * n * k at most 1e+15"},
      {[](Problem& p) { p.shape.output = Dtype::kFp16; }, "output"},
      {[](Problem& p) { p.shape.fusions = kGather | kScatter; }, "cannot stand together"},
      {[](Problem& p) { p.shape.fusions = kScale; }, "'scale' needs 'scatter'"},
      {[](Problem& p) { p.shape.fusions = kGather | kPreact; }, "'preact' needs 'swiglu'"},
      {[](Problem& p) { p.shape.fusions = kScatter | kSwiglu; },
       "'swiglu' stands only with 'gather' and 'preact'"},
      {[](Problem& p) { p.shape.fusions = kCombine | kSwiglu; },
       "'swiglu' stands only with 'gather' and 'preact'"},
      {[](Problem& p) { p.shape.fusions = kSwiglu, p.shape.n = 1535; }, "even n, half of it gate"},
      {[](Problem& p) { p.shape.fusions = kScatter | kCombine; }, "'combine' stands alone"},
      {[](Problem& p) { p.shape.fusions = kGather | kCombine; }, "'combine' stands alone"},
      {[](Problem& p) { p.tokens = 0; }, "tokens must be at least 1, not 0"},
      {[](Problem& p) { p.rows = 0; }, "rows must be from 1 to tokens * top_k = 8192, not 0"},
      {[](Problem& p) { p.rows = -1; }, "not -1"},
      {[](Problem& p) { p.routing.kinds = 0; }, "at least one kind"},
      {[](Problem& p) { p.routing.kinds = kCounts; }, "counts"},
      {[](Problem& p) { p.routing.counts_hash = 1; }, "counts"},
  };
  ASSERT_TRUE(ValidateProblem(Valid()).ok());
  for (const Broken& broken : cases) {
    Problem problem = Valid();
    broken.breakage(problem);
    const absl::Status status = ValidateProblem(problem);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(std::string(broken.said)));
  }
}

TEST(ValidateProblem, ARankMayHaveFewerExpertsThanATokenPicks) {
  Problem problem = Valid();
  problem.shape.experts = 4;
  EXPECT_FALSE(ValidateProblem(problem).ok());
  problem.rows = 100;
  EXPECT_TRUE(ValidateProblem(problem).ok());
}

TEST(ValidateProblem, TakesTheLargestSizes) {
  for (const std::string_view key : {"forward/bf16/plain/e1073741824/t1073741824x1/n1/k1/softmax",
                                     "forward/bf16/plain/e1/t1x1/n1073741824/k900000/softmax",
                                     "forward/bf16/plain/e900000/t1x1/n1/k1073741824/softmax"}) {
    EXPECT_TRUE(ParseProblem(key).ok()) << ParseProblem(key).status();
  }
}

TEST(Problem, EqualityAndHashSeeEveryField) {
  std::vector<Problem> problems(12, Valid());
  problems[1].shape.dtype = Dtype::kFp16;
  problems[2].shape.output = Dtype::kFp32;
  problems[3].shape.fusions = 0;
  problems[4].shape.experts = 64;
  problems[5].shape.top_k = 4;
  problems[6].shape.n = 1;
  problems[7].shape.k = 1;
  problems[8].tokens = 1;
  problems[9].rows = 1;
  problems[10].routing.kinds = kZipf;
  problems[11].routing = {.kinds = kSoftmax | kCounts, .counts_hash = 1};
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(problems));
  for (size_t i = 0; i < problems.size(); ++i) {
    for (size_t j = 0; j < problems.size(); ++j) EXPECT_EQ(problems[i] == problems[j], i == j);
  }
}

TEST(Problem, TheOutputFollowsTheFusions) {
  struct Expected {
    std::string_view key;
    int64_t rows, columns, workspace_bytes;
  };
  for (const Expected& expected :
       {Expected{"forward/bf16/gather/e8/t10x4/n64/k8/r30", 30, 64, 0},
        {"forward/bf16/scatter+scale/e8/t10x4/n64/k8/r30", 40, 64, 0},
        {"forward/bf16/gather+swiglu/e8/t10x4/n64/k8", 40, 32, 0},
        {"forward/bf16/swiglu+preact/e8/t10x4/n64/k8", 40, 32, 0},
        {"forward/bf16/combine/e8/t10x4/n64/k8/r30", 10, 64, 40 * 64 * 2},
        {"forward/bf16-fp32/combine/e8/t10x4/n64/k8", 10, 64, 40 * 64 * 4}}) {
    const Problem problem = ParseProblem(expected.key).value();
    EXPECT_EQ(OutputRows(problem), expected.rows) << expected.key;
    EXPECT_EQ(OutputColumns(problem.shape), expected.columns) << expected.key;
    EXPECT_EQ(WorkspaceBytes(problem), expected.workspace_bytes) << expected.key;
  }
}

TEST(Problem, NamesOfDtypesFusionsAndRoutingReadBack) {
  for (const std::string_view text : {"bf16", "fp16", "fp32", "bf16-fp32", "fp16-fp32"}) {
    Shape shape;
    ASSERT_TRUE(ParseDtypes(text, shape).ok());
    EXPECT_EQ(DtypesText(shape), text);
    EXPECT_EQ(DtypeBytes(shape.dtype), text.starts_with("fp32") ? 4 : 2);
  }
  for (const std::string_view text : {"plain", "gather", "scatter", "scatter+scale", "swiglu",
                                      "gather+swiglu+preact", "combine"}) {
    EXPECT_EQ(FusionsText(ParseFusions(text).value()), text);
  }
  for (const std::string_view text :
       {"balanced", "softmax", "zipf", "counts-0badcafe", "balanced+softmax+zipf"}) {
    EXPECT_EQ(RoutingText(ParseRouting(text).value()), text);
  }
}

}  // namespace
}  // namespace moetune
