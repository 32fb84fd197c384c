// What is wrong with an output, if anything: pure functions over host bytes.
//
// An output is what Workload::ReadOutput gives: the OutputTensors and the guards around them. A
// check returns nullopt when all is well, else one sentence with the place and the values.
#ifndef MOETUNE_TUNER_OUTPUT_CHECK_H_
#define MOETUNE_TUNER_OUTPUT_CHECK_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tuner/workload.h"

namespace moetune {

using Complaint = std::optional<std::string>;

// How far a correct result may lie from a more precise one, where products are normal with variance
// 1: per row the error's root mean square relative to the reference's plus to the terms, per
// element relative to itself, plus to the row's root mean square, plus to the terms.
struct Tolerance {
  double row = 0;
  double element = 0;
  double terms =
      0;  // of the sum that an element is: what is left when they cancel is not as precise
};
Tolerance ToleranceOf(Dtype output);

// How far two results may lie from each other that are both right: either may be off by the above,
// to different sides. Of a sum near the middle between two values of bf16, one family's may round
// up and the other's down, and the scale's rounding may double that.
Tolerance ToleranceOfTwo(Dtype output);

Complaint CompareRow(std::span<const float> actual, std::span<const double> expected,
                     const Tolerance& tolerance);

// For each row of an output tensor, whether a launch writes it.
std::vector<bool> WrittenRows(const Problem& problem, const RoutingDraw& draw);

// No element of a row to be written is poison still; all others are, and so are the guards.
Complaint CheckWritten(const HostWorkload& workload, int draw, std::span<const uint8_t> output);

// Against products computed here in double: every expert's first and last row, others by the seed,
// and of each row as many columns as the work allows. With combine their tokens, all rows summed.
Complaint CheckSample(const HostWorkload& workload, int draw, std::span<const uint8_t> output,
                      uint64_t seed);

// Against an output of another family, on all rows, by the tolerance of two.
Complaint CheckClose(const HostWorkload& workload, int draw, std::span<const uint8_t> expected,
                     std::span<const uint8_t> output);

// Bit for bit, for a piece of an output that starts at `offset`.
Complaint CheckEqual(const Problem& problem, int64_t offset, std::span<const uint8_t> expected,
                     std::span<const uint8_t> piece);

}  // namespace moetune

#endif  // MOETUNE_TUNER_OUTPUT_CHECK_H_
