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
  BaselineRow baseline;                  // what ran beside it on this card
  std::map<std::string, double> listed;  // µs of the peers' file, times `listed_scale`
  double listed_scale = 1;

  bool ok() const { return measured.outcome == Outcome::kOk; }
};

// Sets the times of a peers' file into the row, whose baseline stands. Where the baseline's torch
// is off the file's by more than 3 %, the file is of another card or another day: its times are
// scaled by it, and are no more than an estimate.
void SetListed(const PeerRow& peers, BenchRow& row);

// The fastest peer that reads row counts on the device: its name and µs.
std::optional<std::pair<std::string, double>> BestPeer(const std::map<std::string, double>& times);

// Which columns a table has beside those of our own times.
struct PeerColumns {
  bool baseline = false;  // peers that ran on this card
  bool listed = false;    // those of the peers' file, never mixed with the former
};

// Those that some row can fill.
PeerColumns ColumnsOf(const std::vector<BenchRow>& rows);

std::vector<std::string> BenchColumns(PeerColumns columns);
std::vector<std::string> BenchCells(const BenchRow& row, PeerColumns columns);

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
