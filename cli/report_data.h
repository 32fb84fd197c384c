// What a report shows, drawn from a log: each problem of each device with its trials and winner.
#ifndef MOETUNE_CLI_REPORT_DATA_H_
#define MOETUNE_CLI_REPORT_DATA_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/explanation.h"
#include "db/store.h"

namespace moetune {

// All that is known of one config on one problem.
struct ConfigTrial {
  std::string family;
  Config config;
  Outcome outcome = Outcome::kOk;  // the newest
  std::string error;
  double first_us = 0;  // of the first trial; 0 unless it passed
  double time_us = 0;   // of the newest trial of the highest effort; 0 unless it passed
};

struct ProblemReport {
  Problem problem;
  Explanation explanation;          // its winner is null where there is none
  std::vector<ConfigTrial> trials;  // in the order in which they were first tried

  const Winner* winner() const { return explanation.winner.get(); }
};

// Measured and estimated rows are never mixed: one device may have a report of each.
struct DeviceReport {
  DeviceSpec device;
  bool estimated = false;
  std::vector<ProblemReport> problems;  // by shape, then by rows

  std::string Title() const;
};

struct Report {
  std::string source;  // of the rows: the path of the database
  std::string token;
  int sweeps = 0;
  int64_t trials = 0;
  int64_t newest = 0;  // µs since the Unix epoch; 0 without any row
  std::vector<DeviceReport> devices;
};

Report MakeReport(std::string source, const ScanResult& scan);

// Problems told apart by the parts of their keys in which they differ.
struct ShortLabels {
  std::string common;               // "forward bf16 e128 softmax"
  std::vector<std::string> labels;  // of each problem, in their order: "gather t16x8 n1536 k2048"
};
ShortLabels LabelsOf(const std::vector<ProblemReport>& problems);

}  // namespace moetune

#endif  // MOETUNE_CLI_REPORT_DATA_H_
