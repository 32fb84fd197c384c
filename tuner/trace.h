// Trace: a recorded search space, where every config of a kernel was measured once on some GPU.
// Read from Kernel Tuner's cache files and the tuning community's T4 results, plain or gzipped.
#ifndef MOETUNE_TUNER_TRACE_H_
#define MOETUNE_TUNER_TRACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/config.h"

namespace moetune {

// How a recorded config ended; the names are T4's.
enum class Invalidity : uint8_t {
  kCorrect,
  kConstraints,  // it breaks a rule of the space
  kCompile,
  kRuntime,
  kTimeout,
  kCorrectness,  // it ran, and its result was wrong
};

std::string_view InvalidityName(Invalidity invalidity);

// A parameter of a trace and its values in ascending order: numbers before words.
struct TraceParameter {
  struct Value {
    int64_t in_config = 0;  // the number itself if all values are integers, else its place in order
    std::string json;       // as it is written in the file: 8, 0.5, "half"
    bool operator==(const Value&) const = default;
  };
  std::string name;
  std::vector<Value> values;
  bool operator==(const TraceParameter&) const = default;
};

// What an evaluation took.
struct TraceCost {
  double compile_us = 0;
  double rest_us = 0;  // every run, checks, the framework
  bool operator==(const TraceCost&) const = default;
};

struct TracePoint {
  Config config;
  Invalidity invalidity = Invalidity::kCorrect;
  double time_us = 0;  // only when correct
  std::optional<TraceCost> cost;
  std::optional<double> estimate_us;  // a cost model's, from before anything was measured
  bool operator==(const TracePoint&) const = default;
};

// A config as both formats write it: parameters and their values as JSON text.
struct RecordedConfig {
  std::vector<std::pair<std::string, std::string>> values;
  TracePoint point;  // without its config
};

struct Trace {
  std::vector<TraceParameter> parameters;  // in the order of the file
  std::vector<TracePoint> points;          // distinct configs; where the file repeats one, its last
  bool operator==(const Trace&) const = default;
};

// The space of these configs, with the parameters in this order. InvalidArgument when there are
// none.
absl::StatusOr<Trace> MakeTrace(const std::vector<std::string>& names,
                                std::vector<RecordedConfig> configs);

// Tells the format by its content. An error says what is wrong, and where.
absl::StatusOr<Trace> ReadTrace(const std::string& path);
absl::StatusOr<Trace> ParseTrace(std::string_view text);

// The fastest config of `known` as `trace` writes it; none where that lacks one of its values, or
// nothing in `known` is correct.
std::optional<Config> BestConfig(const Trace& known, const Trace& trace);

// A word as JSON writes it, quotes included; what is no UTF-8 is replaced.
std::string JsonWord(std::string_view word);

// The trace in T4, which ParseTrace reads back as an equal trace.
std::string T4Text(const Trace& trace);

}  // namespace moetune

#endif  // MOETUNE_TUNER_TRACE_H_
