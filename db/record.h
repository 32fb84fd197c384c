// The rows of the log: what was measured, what won, and the sweeps that did it.
#ifndef MOETUNE_DB_RECORD_H_
#define MOETUNE_DB_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "db/clocks.h"
#include "kernels/config.h"
#include "kernels/device_spec.h"
#include "kernels/problem.h"

namespace moetune {

// What a time depends on besides problem, device and config. Rows of different environments are
// never compared; a winner of another environment is served with a stale reason.
struct Environment {
  std::string driver;              // "580.159.04"; empty for estimates
  std::string nvrtc;               // "13.0"
  std::string kernel_fingerprint;  // FamilyFingerprint of the family measured
  std::string policy;              // how it was timed: Policy::Text() in tuner/timer.h
  bool operator==(const Environment&) const = default;
};

enum class Outcome : uint8_t {
  kOk,            // verified and timed
  kCompileError,  // NVRTC refused it
  kSpills,        // local memory: spills or a stack frame
  kSerialised,    // wgmma serialised by the compiler
  kLoadError,     // the driver refused the cubin or the launch
  kWrongResult,   // verification failed
  kFault,         // the launch broke the context: illegal address, instruction, ...
  kTimeout,       // a compile or a launch ran past its limit and was killed
  kCrash,         // the child process died
};
std::string_view OutcomeName(Outcome outcome);
absl::StatusOr<Outcome> ParseOutcome(std::string_view text);

// Ascending trust: a probe is the best of three launches, a final stands in the interleaved rounds.
enum class Effort : uint8_t { kEstimate, kProbe, kShort, kFinal };
std::string_view EffortName(Effort effort);
absl::StatusOr<Effort> ParseEffort(std::string_view text);

struct Measurement {
  std::string sweep;  // UUID of its Sweep row
  Problem problem;
  DeviceSpec device;
  Environment environment;
  std::string family;
  Config config;
  Effort effort = Effort::kProbe;
  Outcome outcome = Outcome::kOk;
  std::string error;   // why, when the outcome is not kOk
  double time_us = 0;  // median; 0 unless kOk
  double time_us_mad = 0;
  int samples = 0;
  double compile_ms = 0;
  std::string cubin_sha256;
  uint64_t seed = 0;
  Clocks clocks;
  int64_t measured_at = 0;  // µs since the Unix epoch

  // Of a final; zero or empty where not taken.
  double hot_us = 0;               // of one launch, several back to back with nothing flushed
  double sm_clock_mhz = 0;         // counted on the SMs while they ran; the median of the samples
  int unsteady_rounds = 0;         // kept although the reasons to throttle changed in them
  std::vector<double> routing_us;  // of a mix the median on each routing, in the key's order
  bool operator==(const Measurement&) const = default;
};

// The best config of a problem on a device in an environment, with the default's time measured
// beside it. Append-only: a later row of the same identity supersedes it, and all of them are its
// history.
struct Winner {
  std::string sweep;
  Problem problem;
  DeviceSpec device;
  Environment environment;
  std::string family;
  Config config;
  std::string cubin_sha256;
  bool estimated = false;  // ranked by the cost model, not timed
  double time_us = 0;
  double time_us_low = 0;  // 95 % interval
  double time_us_high = 0;
  std::string default_family;
  Config default_config;
  double default_time_us = 0;
  std::string reason;  // why it won, in a sentence
  int64_t measured_at = 0;

  double Speedup() const { return time_us > 0 ? default_time_us / time_us : 1.0; }
  bool operator==(const Winner&) const = default;
};

enum class SweepState : uint8_t { kStarted, kFinished };
std::string_view SweepStateName(SweepState state);
absl::StatusOr<SweepState> ParseSweepState(std::string_view text);

// A sweep starts with one row and ends with another of the same id.
struct Sweep {
  std::string id;  // UUID
  SweepState state = SweepState::kStarted;
  std::string strategy;
  uint64_t seed = 0;
  std::string spec;  // the problems and limits, as text
  std::string host;
  std::string version;  // of moetune
  int64_t at = 0;       // µs since the Unix epoch
  bool operator==(const Sweep&) const = default;
};

// One row of the log. The store gives the sequence number; the UUID is the writer's, so that a row
// copied between databases stays the same row.
struct Record {
  std::string uuid;
  int64_t sequence = 0;
  std::variant<Measurement, Winner, Sweep> row;
  bool operator==(const Record&) const = default;
};

// "measurement", "winner" or "sweep": its table, and its block in the text format.
std::string_view KindName(const Record& record);

// OK when a store takes the record: a canonical UUID, a valid problem, a named family, a device
// with a name and facts, texts in UTF-8 (but for an error and a host), finite times that are not
// negative. The message names the field.
absl::Status ValidateRecord(const Record& record);

// A new random (version 4) UUID in canonical text, and whether a text has that form (any version).
std::string NewUuid();
bool IsUuid(std::string_view text);

// A record with a new UUID and no sequence number yet.
Record NewRecord(std::variant<Measurement, Winner, Sweep> row);

// Microseconds since the Unix epoch as "2026-11-23T08:02:53Z", and now.
std::string TimestampText(int64_t us);
int64_t NowUs();

}  // namespace moetune

#endif  // MOETUNE_DB_RECORD_H_
