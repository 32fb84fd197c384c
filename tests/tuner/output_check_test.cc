#include "tuner/output_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/testing/host_reference.h"
#include "tests/testing/records.h"
#include "tuner/element.h"

namespace moetune {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// A problem whose right output was computed by the tests' own reference, to be spoilt in one way or
// another.
class OutputCheckTest : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr int64_t kGuard = Workload::kGuardBytes;

  OutputCheckTest() {
    workload_.problem = ProblemOf(GetParam());
    const Problem& problem = workload_.problem;
    const Shape& shape = problem.shape;
    const float deviation = 1 / std::sqrt(static_cast<float>(shape.k));
    workload_.x = Pattern({shape.dtype, 1, Pattern::BlockElements(problem.rows), 1});
    workload_.w = Pattern({shape.dtype, deviation, Pattern::BlockElements(shape.n), 2});
    workload_.draws = {*DrawRouting(problem, 3, {}), DrawSparseRouting(problem, 4)};
  }

  // What a right kernel leaves of poisoned memory.
  std::vector<uint8_t> RightOutput(int draw) const {
    const Problem& problem = workload_.problem;
    const Shape& shape = problem.shape;
    const int64_t bytes = DtypeBytes(shape.dtype);
    const auto tensor = [&](const Pattern& pattern, int64_t elements) {
      std::vector<float> values(elements);
      pattern.Read(0, values);
      std::vector<uint8_t> stored(elements * bytes);
      for (int64_t i = 0; i < elements; ++i) StoreElement(shape.dtype, stored.data(), i, values[i]);
      return stored;
    };
    const std::vector<uint8_t> x = tensor(workload_.x, problem.rows * shape.k);
    const std::vector<uint8_t> w = tensor(workload_.w, shape.experts * shape.n * shape.k);
    const RoutingDraw& routing = workload_.draws[draw];
    const OutputTensor last = OutputTensors(problem).back();
    std::vector<uint8_t> output(last.offset + last.bytes + kGuard, Workload::kPoison);
    std::vector<uint8_t> workspace(WorkspaceBytes(problem), Workload::kPoison);
    const MoeArgs args = {.x = x.data(),
                          .w = w.data(),
                          .y = output.data() + kGuard,
                          .row_counts = routing.counts.data(),
                          .row_index = routing.index.data(),
                          .scale = routing.weights.data(),
                          .preact = output.data() + last.offset,
                          .workspace = workspace.data(),
                          .tokens = problem.tokens,
                          .rows = problem.rows,
                          .experts = shape.experts,
                          .top_k = shape.top_k,
                          .n = shape.n,
                          .k = shape.k};
    HostForward(shape, {}, args);
    if (shape.Has(kCombine)) HostCombine(shape, {}, args);
    return output;
  }

  // The rows of y that the draw writes, in expert order.
  std::vector<int64_t> RoutedRows(int draw) const {
    const Shape& shape = workload_.problem.shape;
    const RoutingDraw& routing = workload_.draws[draw];
    std::vector<int64_t> rows(routing.RoutedRows());
    std::iota(rows.begin(), rows.end(), 0);
    if (shape.Has(kScatter)) std::copy_n(routing.index.begin(), rows.size(), rows.begin());
    if (shape.Has(kCombine)) {
      for (int64_t& row : rows) row = routing.index[row] / shape.top_k;
    }
    return rows;
  }

  uint8_t* Row(std::vector<uint8_t>& output, int64_t row) const {
    return output.data() + kGuard + row * RowBytes();
  }
  int64_t RowBytes() const {
    const Shape& shape = workload_.problem.shape;
    return OutputColumns(shape) * DtypeBytes(shape.output);
  }

  Complaint Check(int draw, const std::vector<uint8_t>& output) const {
    if (Complaint complaint = CheckWritten(workload_, draw, output)) return complaint;
    return CheckSample(workload_, draw, output, 5);
  }

  HostWorkload workload_;
};

TEST_P(OutputCheckTest, ARightOutputPasses) {
  for (int draw : {0, 1}) {
    const std::vector<uint8_t> output = RightOutput(draw);
    EXPECT_EQ(Check(draw, output), std::nullopt);
    EXPECT_EQ(CheckClose(workload_, draw, output, output), std::nullopt);
    EXPECT_EQ(CheckEqual(workload_.problem, 0, output, output), std::nullopt);
  }
}

TEST_P(OutputCheckTest, SwappedRowsOfAnExpertAreFound) {
  std::vector<uint8_t> output = RightOutput(0);
  const std::vector<uint8_t> right = output;
  const std::vector<int64_t> rows = RoutedRows(0);
  // The first row of the largest expert, and the one after it.
  const std::vector<int32_t>& counts = workload_.draws[0].counts;
  const auto largest = std::max_element(counts.begin(), counts.end()) - counts.begin();
  const auto first = std::accumulate(counts.begin(), counts.begin() + largest, int64_t{0});
  std::swap_ranges(Row(output, rows[first]), Row(output, rows[first]) + RowBytes(),
                   Row(output, rows[first + 1]));
  EXPECT_THAT(Check(0, output).value_or(""), HasSubstr("in place of"));
  EXPECT_NE(CheckClose(workload_, 0, right, output), std::nullopt);
}

TEST_P(OutputCheckTest, OneLostRowIsFoundAndNamed) {
  std::vector<uint8_t> output = RightOutput(1);
  const int64_t lost = RoutedRows(1)[2];
  std::memset(Row(output, lost), Workload::kPoison, RowBytes());
  EXPECT_EQ(Check(1, output), "row " + std::to_string(lost) + ", column 0 was not written");
}

TEST_P(OutputCheckTest, OneElementThatWasNotWrittenIsFound) {
  std::vector<uint8_t> output = RightOutput(0);
  const int64_t element = DtypeBytes(workload_.problem.shape.output);
  const int64_t row = RoutedRows(0).back();
  std::memset(Row(output, row) + RowBytes() - element, Workload::kPoison, element);
  EXPECT_THAT(Check(0, output).value_or(""), HasSubstr("was not written"));
}

TEST_P(OutputCheckTest, ARowThatBelongsToNoExpertMustNotBeWritten) {
  if (workload_.problem.shape.Has(kCombine)) return;  // it writes every token
  std::vector<uint8_t> output = RightOutput(1);
  const std::vector<bool> written = WrittenRows(workload_.problem, workload_.draws[1]);
  const auto free = std::find(written.begin(), written.end(), false) - written.begin();
  ASSERT_LT(free, static_cast<std::ptrdiff_t>(written.size()));
  Row(output, free)[0] = 0;
  EXPECT_EQ(Check(1, output),
            "row " + std::to_string(free) + " was written, but belongs to no expert");
}

TEST_P(OutputCheckTest, WritingOutsideIsFoundOnBothSides) {
  const std::vector<uint8_t> right = RightOutput(0);
  std::vector<uint8_t> output = right;
  output[kGuard - 1] = 0;
  EXPECT_EQ(Check(0, output), "wrote before the output's start");
  EXPECT_EQ(CheckEqual(workload_.problem, 0, right, output), "wrote before the output's start");
  output = right;
  output[output.size() - kGuard] = 0;
  EXPECT_EQ(Check(0, output), "wrote past the output's end");
  EXPECT_EQ(CheckEqual(workload_.problem, 0, right, output), "wrote past the output's end");
}

TEST_P(OutputCheckTest, AnErrorWithinTheToleranceIsNoErrorButOneBitIsADifference) {
  const std::vector<uint8_t> right = RightOutput(0);
  std::vector<uint8_t> output = right;
  const int64_t row = RoutedRows(0)[1];
  Row(output, row)[0] ^= 1;  // the last bit of the first element
  EXPECT_EQ(Check(0, output), std::nullopt);
  EXPECT_EQ(CheckClose(workload_, 0, right, output), std::nullopt);
  EXPECT_THAT(CheckEqual(workload_.problem, 0, right, output).value_or(""),
              HasSubstr("row " + std::to_string(row) + ", column 0"));
}

TEST_P(OutputCheckTest, TheRowsOfAnotherExpertsWeightsAreFound) {
  HostWorkload other = workload_;
  other.w = Pattern({workload_.problem.shape.dtype, workload_.w.kind().deviation,
                     workload_.w.kind().elements, 77});
  EXPECT_THAT(CheckSample(other, 0, RightOutput(0), 5).value_or(""),
              AnyOf(HasSubstr("of expert"), HasSubstr("token")));
}

// A lost, a wrong and a stray element of the second tensor.
TEST_P(OutputCheckTest, PreactIsCheckedLikeTheOutput) {
  if (!workload_.problem.shape.Has(kPreact)) return;
  const OutputTensor preact = OutputTensors(workload_.problem).back();
  const int64_t element = DtypeBytes(workload_.problem.shape.output);
  const std::vector<uint8_t> right = RightOutput(0);
  std::vector<uint8_t> output = right;
  std::memset(output.data() + preact.offset, Workload::kPoison, element);
  EXPECT_EQ(Check(0, output), "preact: row 0, column 0 was not written");
  EXPECT_NE(CheckClose(workload_, 0, right, output), std::nullopt);
  EXPECT_THAT(CheckEqual(workload_.problem, 0, right, output).value_or(""),
              HasSubstr("preact: row 0, column 0: "));

  // The rows of gate and up change places.
  output = right;
  const auto gate = output.begin() + preact.offset;
  std::rotate(gate, gate + RowBytes(), gate + 2 * RowBytes());
  EXPECT_THAT(Check(0, output).value_or(""), HasSubstr("preact: "));
  EXPECT_THAT(CheckClose(workload_, 0, right, output).value_or(""), HasSubstr("preact: row 0"));

  output = right;
  output[preact.offset - 1] = 0;
  EXPECT_EQ(Check(0, output), "wrote between the output's tensors");
  EXPECT_EQ(CheckEqual(workload_.problem, 0, right, output), "wrote between the output's tensors");
}

// It is compared in chunks, by several threads.
TEST(OutputCheck, OfALargeOutputTheFirstDifferenceIsTold) {
  const Problem problem = ProblemOf("forward/bf16/plain/e4/t8192x1/n1024/k8/balanced");
  const OutputTensor y = OutputTensors(problem).front();
  const std::vector<uint8_t> right(y.offset + y.bytes + Workload::kGuardBytes);
  EXPECT_EQ(CheckEqual(problem, 0, right, right), std::nullopt);
  std::vector<uint8_t> output = right;
  for (const int64_t row : {8191, 5000, 3001}) {
    output[y.offset + row * 2048 + 6] ^= 1;
    EXPECT_THAT(CheckEqual(problem, 0, right, output).value_or(""),
                HasSubstr("row " + std::to_string(row) + ", column 3: "));
  }
}

// A piece of a large output is judged where it lies in the whole.
TEST_P(OutputCheckTest, APieceIsPlacedByItsOffset) {
  const std::vector<uint8_t> right = RightOutput(0);
  std::vector<uint8_t> output = right;
  const int64_t row = RoutedRows(0)[1];
  Row(output, row)[0] ^= 1;
  const int64_t offset = kGuard + row * RowBytes() - 8;
  const auto rest = [&](const std::vector<uint8_t>& bytes) {
    return std::span(bytes).subspan(offset);
  };
  EXPECT_EQ(CheckEqual(workload_.problem, offset, rest(right), rest(output)),
            CheckEqual(workload_.problem, 0, right, output));
}

INSTANTIATE_TEST_SUITE_P(Problems, OutputCheckTest,
                         ::testing::Values("forward/bf16/plain/e4/t40x2/n33/k20",
                                           "forward/bf16/gather/e4/t40x2/n33/k20",
                                           "forward/bf16/scatter+scale/e4/t40x2/n33/k20",
                                           "forward/fp16/scatter/e4/t40x2/n8/k20/r50",
                                           "forward/bf16-fp32/plain/e4/t40x2/n33/k20",
                                           "forward/bf16/gather+swiglu/e4/t40x2/n34/k20",
                                           "forward/fp16/swiglu+preact/e4/t40x2/n34/k20",
                                           "forward/bf16/combine/e4/t40x2/n33/k20",
                                           // So many sums that some cancel.
                                           "forward/bf16/combine/e4/t500x4/n256/k16",
                                           "forward/bf16-fp32/combine/e4/t40x2/n33/k20/r50"));

// In rows of one column the sums of many tokens come near zero, and their terms do not. With k 1
// and both slots of a token at one expert, whole rows of many columns do.
class Cancelling : public OutputCheckTest {};
TEST_P(Cancelling, ARightSumThatCancelsPasses) {
  for (int draw : {0, 1}) EXPECT_EQ(Check(draw, RightOutput(draw)), std::nullopt);
}
INSTANTIATE_TEST_SUITE_P(Combine, Cancelling,
                         ::testing::Values("forward/bf16/combine/e8/t900x8/n1/k20",
                                           "forward/bf16/combine/e2/t2000x2/n392/k1"));

TEST(CompareRow, ErrorsAreMeasuredAgainstTheRow) {
  const Tolerance tolerance = ToleranceOf(Dtype::kBf16);
  const std::vector<double> expected = {1, -1, 1, -1};
  EXPECT_EQ(CompareRow(std::vector<float>{1, -1, 1, -1}, expected, tolerance), std::nullopt);
  EXPECT_EQ(CompareRow(std::vector<float>{1.005f, -1, 1, -1}, expected, tolerance), std::nullopt);
  // Each element is within its bound, but all of them together are off.
  EXPECT_THAT(
      CompareRow(std::vector<float>(16, 1.01f), std::vector<double>(16, 1), tolerance).value_or(""),
      HasSubstr("relative error"));
  EXPECT_EQ(CompareRow(std::vector<float>(15, 1.01f), std::vector<double>(15, 1), tolerance),
            std::nullopt)
      << "too few to average out";
  EXPECT_THAT(CompareRow(std::vector<float>{1.1f, -1, 1, -1}, expected, tolerance).value_or(""),
              HasSubstr("1.1 in place of 1"));
}

// Sums on either side of the middle between two values of bf16, scaled and rounded again.
TEST(CompareRow, TwoRightResultsMayLieFartherApartThanOneFromTheTruth) {
  const auto scaled = [](float sum) {
    const auto round = [](float value) { return FloatFromBf16(Bf16FromFloat(value)); };
    return round(round(sum) * 1.206640625f);
  };
  const float below = scaled(1.0039f);
  const float above = scaled(1.0040f);
  const double truth = 1.00395 * 1.206640625;
  const auto compare = [](float actual, double expected, const Tolerance& tolerance) {
    std::vector<float> row(8, 0.5f);
    row[0] = actual;
    std::vector<double> expected_row(8, 0.5);
    expected_row[0] = expected;
    return CompareRow(row, expected_row, tolerance);
  };
  EXPECT_EQ(compare(below, truth, ToleranceOf(Dtype::kBf16)), std::nullopt);
  EXPECT_EQ(compare(above, truth, ToleranceOf(Dtype::kBf16)), std::nullopt);
  EXPECT_NE(compare(above, below, ToleranceOf(Dtype::kBf16)), std::nullopt);
  EXPECT_EQ(compare(above, below, ToleranceOfTwo(Dtype::kBf16)), std::nullopt);
}

TEST(CompareRow, WhatTermsLeaveWhenTheyCancelIsAsRightAsTheTermsAre) {
  const std::vector<double> expected = {0.05, -0.35, 0.35, 0.35};
  const std::vector<float> actual = {0.06f, -0.35f, 0.35f, 0.35f};
  Tolerance tolerance = ToleranceOf(Dtype::kBf16);
  EXPECT_NE(CompareRow(actual, expected, tolerance), std::nullopt);
  tolerance.terms = 3;  // as combine has them
  EXPECT_EQ(CompareRow(actual, expected, tolerance), std::nullopt);
}

// Each stood in a run of random problems on a device that computes exactly.
TEST(CompareRow, ShortRowsAreHeldToWhatTheirSumsCanGive) {
  const auto check = [](float actual, double expected, Dtype dtype) {
    return CompareRow({&actual, 1}, {&expected, 1}, ToleranceOf(dtype));
  };
  EXPECT_EQ(check(1.00628f, 1, Dtype::kBf16), std::nullopt) << "rounded twice";
  EXPECT_EQ(check(-0.000476867f, -0.000476752, Dtype::kFp32), std::nullopt) << "of 424 products";
  EXPECT_EQ(check(5.66244e-06f, 5.64149e-06, Dtype::kFp16), std::nullopt) << "subnormal";
  EXPECT_NE(check(1.02f, 1, Dtype::kBf16), std::nullopt);
  EXPECT_NE(check(1e-3f, 0, Dtype::kBf16), std::nullopt);
  EXPECT_NE(check(2e-5f, 0, Dtype::kFp32), std::nullopt);
}

TEST(CompareRow, NaNIsNeverRight) {
  EXPECT_NE(CompareRow(std::vector<float>{1, std::nanf("")}, std::vector<double>{1, 1},
                       ToleranceOf(Dtype::kBf16)),
            std::nullopt);
}

TEST(CompareRow, ARowOfZeroesIsRightWhenItIsZero) {
  EXPECT_EQ(
      CompareRow(std::vector<float>{0, 0}, std::vector<double>{0, 0}, ToleranceOf(Dtype::kBf16)),
      std::nullopt);
  EXPECT_NE(
      CompareRow(std::vector<float>{0, 0.1f}, std::vector<double>{0, 0}, ToleranceOf(Dtype::kBf16)),
      std::nullopt);
}

TEST(Pattern, HoldsNoZeroAndRepeatsAfterAPrimeNumberOfElements) {
  const Pattern pattern({Dtype::kFp16, 0.01f, Pattern::BlockElements(100), 1});
  std::vector<float> values(3 * 65537);
  pattern.Read(0, values);
  EXPECT_EQ(std::count(values.begin(), values.end(), 0.0f), 0);
  EXPECT_TRUE(std::equal(values.begin() + 65537, values.end(), values.begin()));
  std::vector<float> later(10);
  pattern.Read(65530, later);
  EXPECT_TRUE(std::equal(later.begin(), later.end(), values.begin() + 65530));
}

TEST(Pattern, ItsBlockHasMoreElementsThanTheTensorRows) {
  EXPECT_EQ(Pattern::BlockElements(65536), 65537);
  EXPECT_GT(Pattern::BlockElements(65537), 65537);
  EXPECT_GT(Pattern::BlockElements(256 * 4096), 256 * 4096);
}

}  // namespace
}  // namespace moetune
