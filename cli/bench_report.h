// What `moetune bench` found, and the ways in which it is told: a table, JSON, a result file.
#ifndef MOETUNE_CLI_BENCH_REPORT_H_
#define MOETUNE_CLI_BENCH_REPORT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/peers.h"
#include "cli/winner_json.h"
#include "tuner/evaluator.h"

namespace moetune {

// One problem, timed.
struct BenchRow {
  Problem problem;
  Tier tier = Tier::kDefault;  // of the winner
  Candidate winner;
  Candidate fallback;    // the default; may be the winner itself
  Measurement measured;  // of the winner; outcome and error tell why it has no time
  Measurement fallback_measured;
  int64_t touched_experts = 0;
  double floor_us = 0;
  std::map<std::string, double> peers;  // µs
  double peer_scale = 1;                // what the times of the peers' file were multiplied by

  bool ok() const { return measured.outcome == Outcome::kOk; }
};

// Sets the times of `peers` (may be null) and `baseline` (µs by name) into the row, those of the
// baseline in the place of the file's. Where the baseline's torch is off the file's by more than
// 3 %, it was another card or another day: the file's times are scaled by it.
void SetPeers(const PeerRow* peers, const std::map<std::string, double>& baseline, BenchRow& row);

// The fastest peer that reads row counts on the device: its name and µs.
std::optional<std::pair<std::string, double>> BestPeer(const BenchRow& row);

// The columns of the table: those about peers only when a row has some.
std::vector<std::string> BenchColumns(const std::vector<BenchRow>& rows);
std::vector<std::string> BenchCells(const BenchRow& row, bool with_peers);

// The table, and below it geometric means by fusions and tokens.
std::string BenchText(const std::vector<BenchRow>& rows);

Json BenchJson(const BenchRow& row);

// Where and how the rows were measured.
struct BenchRun {
  std::string title;
  std::string command;
  std::string date;
  std::string device;
  std::string driver;
  std::string nvrtc;
  std::map<std::string, std::string> fingerprints;  // of each family
};

// A file for tests/gpu/results, which tests/gpu/performance_tables.py reads.
Json ResultJson(const BenchRun& run, const std::vector<BenchRow>& rows);

}  // namespace moetune

#endif  // MOETUNE_CLI_BENCH_REPORT_H_
