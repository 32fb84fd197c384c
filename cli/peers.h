// Peers: how long other libraries take for the same problems, to set beside our own times.
#ifndef MOETUNE_CLI_PEERS_H_
#define MOETUNE_CLI_PEERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/problem.h"

namespace moetune {

// Not so the loop of dense products, which knows the row counts on the host, and the single dense
// product, which is another problem: neither counts as the best peer.
bool ReadsCountsOnDevice(std::string_view peer);

struct PeerRow {
  Problem problem;                      // with routing softmax or balanced
  std::map<std::string, double> times;  // µs of each peer that ran it
};

// Reads a file with the columns
//   model,tokens,routing,op,gemm,fusion,floor_us,best_peer,best_us,PEER,...
// where gemm is gate_up or down, fusion a set of fusions, and a peer that could not run a row has
// an empty cell. Rows of an op that this program does not have are left out. An error names the
// line and the cell.
absl::StatusOr<std::vector<PeerRow>> ReadPeers(std::string_view csv);

// The row of a problem; null when there is none. Captured row counts stand for softmax: it is what
// the peers' were drawn from.
const PeerRow* FindPeers(const std::vector<PeerRow>& rows, const Problem& problem);

// What ran on the same card a minute before.
struct BaselineRow {
  std::map<std::string, double> times;  // µs by what was timed
  std::map<std::string, double> parts;  // µs of each step of torch's alone, where it has several
};
using Baseline = std::map<std::string, BaselineRow>;  // by problem key

// Reads what tests/gpu/torch_baseline.py prints: one JSON object a line, of which those with
// "problem" and "us" count: {"problem": KEY, "us": {"torch": 41.7}, "parts_us": {"sum": 3.1}}. An
// error names the line.
absl::StatusOr<Baseline> ReadBaseline(std::string_view lines);

}  // namespace moetune

#endif  // MOETUNE_CLI_PEERS_H_
