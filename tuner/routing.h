// Routing: which token slots go to which expert. Pure host code; drawn anew from a seed, so that a
// draw need never be stored.
//
// A slot is token * top_k + j: the j-th choice of a token. Where a problem has fewer rows than
// slots, its experts are one rank's share of a larger set, and the other slots went to other ranks.
#ifndef MOETUNE_TUNER_ROUTING_H_
#define MOETUNE_TUNER_ROUTING_H_

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/problem.h"

namespace moetune {

// Captured rows per expert, by the hash that names them in Routing.
using Histograms = std::map<uint32_t, std::vector<int64_t>>;

// The name of a histogram; never zero.
uint32_t HistogramHash(std::span<const int64_t> counts);

struct RoutingDraw {
  std::vector<int32_t> counts;  // rows of each expert

  // The slot of each row, grouped by expert, ascending within one. Entries past the sum of `counts`
  // are slots that nobody may touch.
  std::vector<int32_t> index;

  std::vector<float> weights;  // per slot; those of a token summed to 1 before slots without a row
                               // got 0, as combine needs it

  int64_t RoutedRows() const;
};

// The problem under each routing of its mix, in the order of RoutingKind; only itself where it
// mixes none.
std::vector<Problem> EachRouting(const Problem& problem);

// InvalidArgument when a routing of `problem` cannot be drawn: its histogram is missing, of another
// size, or no histogram.
absl::Status CheckRouting(const Problem& problem, const Histograms& histograms);

// A draw of `problem.routing`, which must pass CheckRouting and be of one kind, else
// InvalidArgument; with exactly problem.rows rows:
//   balanced  slot s goes to expert s modulo the number of experts
//   softmax   logits = N(0, 1) per token and expert + 0.3 N(0, 1) per expert; the top_k greatest
//   zipf      p proportional to 1 / rank, ranks shuffled by the seed; distinct experts per token
//   counts    the captured histogram, scaled to the rows of the problem
absl::StatusOr<RoutingDraw> DrawRouting(const Problem& problem, uint64_t seed,
                                        const Histograms& histograms);

// A draw that a kernel must survive: about half of the experts empty, the first and the last among
// them, one with a single row, the rest uneven, and fewer rows in all than the problem has room
// for.
RoutingDraw DrawSparseRouting(const Problem& problem, uint64_t seed);

}  // namespace moetune

#endif  // MOETUNE_TUNER_ROUTING_H_
