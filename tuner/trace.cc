#include "tuner/trace.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

using Json = nlohmann::ordered_json;

// In the order of the enum.
constexpr std::string_view kInvalidityNames[] = {"correct", "constraints", "compile",
                                                 "runtime", "timeout",     "correctness"};

absl::Status Malformed(std::string_view where, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrFormat("%s: %s", where, what));
}

// A member of an object, or nullptr.
const Json* Find(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

double NumberOr(const Json* value, double fallback) {
  if (value == nullptr || !value->is_number()) return fallback;
  const double number = value->get<double>();
  return std::isfinite(number) ? number : fallback;
}

double Sum(const Json* list) {
  double sum = 0;
  if (list != nullptr && list->is_array()) {
    for (const Json& each : *list) sum += NumberOr(&each, 0);
  }
  return sum;
}

// Numbers in their order, then words in theirs. Truth values count as numbers.
struct ByValue {
  static double Number(const Json& json) {
    return json.is_boolean() ? static_cast<double>(json.get<bool>()) : json.get<double>();
  }
  bool operator()(const std::string& a, const std::string& b) const {
    const Json left = Json::parse(a);
    const Json right = Json::parse(b);
    if (left.is_string() != right.is_string()) return right.is_string();
    if (left.is_string()) return a < b;
    const double difference = Number(left) - Number(right);
    return difference != 0 ? difference < 0 : a < b;
  }
};

TraceParameter MakeParameter(const std::string& name, const std::set<std::string>& texts) {
  std::vector<std::string> sorted(texts.begin(), texts.end());
  std::sort(sorted.begin(), sorted.end(), ByValue());
  const bool integers = std::ranges::all_of(
      sorted, [](const std::string& text) { return Json::parse(text).is_number_integer(); });
  TraceParameter parameter{.name = name};
  for (const std::string& text : sorted) {
    const auto place = static_cast<int64_t>(parameter.values.size());
    parameter.values.push_back({integers ? Json::parse(text).get<int64_t>() : place, text});
  }
  return parameter;
}

absl::Status ReadValue(const std::string& where, const std::string& name, const Json& value,
                       RecordedConfig& raw) {
  if (!value.is_number() && !value.is_string() && !value.is_boolean()) {
    return Malformed(where, absl::StrFormat("the value of %s must be a number, a word or a truth "
                                            "value, not %s",
                                            name, value.dump()));
  }
  raw.values.emplace_back(name, value.dump());
  return absl::OkStatus();
}

absl::Status ReadTime(const std::string& where, const Json* time, double unit_us,
                      TracePoint& point) {
  point.time_us = NumberOr(time, 0) * unit_us;
  if (point.time_us > 0) return absl::OkStatus();
  return Malformed(where, "a config that is correct needs a time above zero");
}

// Kernel Tuner's words for failures, without "Config" at the end.
Invalidity FromKernelTuner(const Json* time) {
  if (time != nullptr && time->is_number()) return Invalidity::kCorrect;
  const std::string word = time != nullptr && time->is_string() ? time->get<std::string>() : "";
  if (word.starts_with("Compilation")) return Invalidity::kCompile;
  if (word.starts_with("Invalid")) return Invalidity::kConstraints;
  if (word.starts_with("Timeout")) return Invalidity::kTimeout;
  if (word.starts_with("Verification") || word.starts_with("Correctness")) {
    return Invalidity::kCorrectness;
  }
  return Invalidity::kRuntime;
}

absl::StatusOr<Trace> FromCache(const Json& file, const Json& cache) {
  constexpr double kUnitUs = 1000;      // milliseconds throughout
  constexpr double kFailedTime = 1e20;  // what early versions wrote for a failure
  const Json* keys = Find(file, "tune_params_keys");
  if (keys == nullptr || !keys->is_array()) {
    return Malformed("tune_params_keys", "a Kernel Tuner cache needs this list of parameters");
  }
  std::vector<std::string> names;
  for (const Json& key : *keys) {
    if (!key.is_string()) return Malformed("tune_params_keys", "must list names");
    names.push_back(key.get<std::string>());
  }
  if (!cache.is_object()) return Malformed("cache", "must be an object");
  std::vector<RecordedConfig> points;
  for (const auto& [where, entry] : cache.items()) {
    RecordedConfig raw;
    for (const std::string& name : names) {
      const Json* value = Find(entry, name.c_str());
      if (value == nullptr) return Malformed(where, absl::StrFormat("%s is missing", name));
      RETURN_IF_ERROR(ReadValue(where, name, *value, raw));
    }
    const Json* time = Find(entry, "time");
    raw.point.invalidity =
        NumberOr(time, 0) >= kFailedTime ? Invalidity::kRuntime : FromKernelTuner(time);
    if (raw.point.invalidity == Invalidity::kCorrect) {
      RETURN_IF_ERROR(ReadTime(where, time, kUnitUs, raw.point));
    }
    if (const Json* compile = Find(entry, "compile_time"); compile != nullptr) {
      double rest = Sum(Find(entry, "times"));
      for (const char* part : {"verification_time", "framework_time", "strategy_time"}) {
        rest += NumberOr(Find(entry, part), 0);
      }
      raw.point.cost = {NumberOr(compile, 0) * kUnitUs, rest * kUnitUs};
    }
    points.push_back(std::move(raw));
  }
  return MakeTrace(names, std::move(points));
}

absl::StatusOr<double> TimeUnitUs(const Json& file) {
  const Json* metadata = Find(file, "metadata");
  const Json* unit = metadata == nullptr ? nullptr : Find(*metadata, "timeunit");
  if (unit == nullptr) return 1000.0;  // what T4 takes it for
  const std::string word = unit->is_string() ? unit->get<std::string>() : unit->dump();
  // "miliseconds" is how Kernel Tuner spells it.
  if (word == "milliseconds" || word == "miliseconds" || word == "ms") return 1e3;
  if (word == "microseconds" || word == "us") return 1.0;
  if (word == "nanoseconds" || word == "ns") return 1e-3;
  if (word == "seconds" || word == "s") return 1e6;
  return Malformed("metadata.timeunit", absl::StrFormat("unknown unit '%s'", word));
}

absl::StatusOr<Invalidity> ReadInvalidity(const std::string& where, const Json& result) {
  const Json* word = Find(result, "invalidity");
  for (size_t i = 0; i < std::size(kInvalidityNames); ++i) {
    if (word != nullptr && *word == kInvalidityNames[i]) return static_cast<Invalidity>(i);
  }
  return Malformed(
      where, absl::StrFormat("unknown invalidity %s", word == nullptr ? "(none)" : word->dump()));
}

// The value of a named measurement, or nullptr.
const Json* FindMeasurement(const Json& result, std::string_view name) {
  const Json* list = Find(result, "measurements");
  if (list == nullptr || !list->is_array()) return nullptr;
  for (const Json& measurement : *list) {
    const Json* own_name = Find(measurement, "name");
    if (own_name != nullptr && *own_name == name) return Find(measurement, "value");
  }
  return nullptr;
}

absl::StatusOr<RecordedConfig> FromResult(const std::string& where, const Json& result,
                                          double unit_us) {
  RecordedConfig raw;
  const Json* configuration = Find(result, "configuration");
  if (configuration == nullptr || !configuration->is_object()) {
    return Malformed(where, "configuration is missing");
  }
  for (const auto& [name, value] : configuration->items()) {
    RETURN_IF_ERROR(ReadValue(where, name, value, raw));
  }
  ASSIGN_OR_RETURN(raw.point.invalidity, ReadInvalidity(where, result));
  if (raw.point.invalidity == Invalidity::kCorrect) {
    RETURN_IF_ERROR(ReadTime(where, FindMeasurement(result, "time"), unit_us, raw.point));
  }
  if (const double estimate = NumberOr(FindMeasurement(result, "estimate"), 0); estimate > 0) {
    raw.point.estimate_us = estimate * unit_us;
  }
  if (const Json* times = Find(result, "times"); times != nullptr && !times->empty()) {
    double rest = Sum(Find(*times, "runtimes"));
    for (const char* part : {"validation", "framework", "search_algorithm"}) {
      rest += NumberOr(Find(*times, part), 0);
    }
    raw.point.cost = {NumberOr(Find(*times, "compilation"), 0) * unit_us, rest * unit_us};
  }
  return raw;
}

absl::StatusOr<Trace> FromT4(const Json& file, const Json& results) {
  if (!results.is_array()) return Malformed("results", "must be a list");
  ASSIGN_OR_RETURN(const double unit_us, TimeUnitUs(file));
  std::vector<std::string> names;
  std::vector<RecordedConfig> points;
  std::set<std::string> seen;
  for (const Json& result : results) {
    const std::string where = absl::StrFormat("results[%d]", points.size());
    ASSIGN_OR_RETURN(RecordedConfig raw, FromResult(where, result, unit_us));
    for (const auto& [name, text] : raw.values) {
      if (seen.insert(name).second) names.push_back(name);
    }
    points.push_back(std::move(raw));
  }
  return MakeTrace(names, std::move(points));
}

// Python writes NaN and Infinity, which JSON has no words for, where a metric is undefined.
std::string WithoutNan(std::string_view text) {
  std::string kept;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\' && rest.size() > 1) kept += text[i++];
    if (!quoted && (rest.starts_with("NaN") || rest.starts_with("Infinity"))) {
      if (!kept.empty() && kept.back() == '-') kept.pop_back();
      kept += "null";
      i += rest.starts_with("NaN") ? 2 : 7;
    } else {
      kept += text[i];
    }
  }
  return kept;
}

absl::StatusOr<Json> ParseJson(std::string_view text) {
  try {
    if (text.find("NaN") != text.npos || text.find("Infinity") != text.npos) {
      return Json::parse(WithoutNan(text));
    }
    return Json::parse(text);
  } catch (const Json::exception& error) {
    // Its text begins with a bracketed id of the library.
    const std::string_view what = error.what();
    return Malformed("not JSON", what.substr(std::min(what.find("] "), what.size() - 2) + 2));
  }
}

// Plain files pass through zlib unchanged.
absl::StatusOr<std::string> ReadMaybeGzipped(const std::string& path) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrFormat("cannot open %s: %s", path, std::strerror(errno)));
  }
  std::string text;
  std::string piece(1 << 20, '\0');
  while (true) {
    const int count = gzread(file.get(), piece.data(), static_cast<unsigned>(piece.size()));
    if (count > 0) text.append(piece, 0, static_cast<size_t>(count));
    int error = Z_OK;
    const char* message = gzerror(file.get(), &error);
    if (count < 0 || error != Z_OK) {
      return absl::InvalidArgumentError(absl::StrFormat("cannot read %s: %s", path,
                                                        error == Z_BUF_ERROR
                                                            ? "the gzip stream is cut short"
                                                        : error == Z_ERRNO ? std::strerror(errno)
                                                                           : message));
    }
    if (count == 0) return text;
  }
}

// The value of a parameter as it is written, or nullptr where the config has none.
const std::string* ValueText(const TraceParameter& parameter, const Config& config) {
  const Config::Values* values = config.Find(parameter.name);
  if (values == nullptr) return nullptr;
  return &std::ranges::find(parameter.values, values->front(), &TraceParameter::Value::in_config)
              ->json;
}

Json T4Result(const Trace& trace, const TracePoint& point) {
  Json configuration = Json::object();
  for (const TraceParameter& parameter : trace.parameters) {
    const std::string* text = ValueText(parameter, point.config);
    if (text != nullptr) configuration[parameter.name] = Json::parse(*text);
  }
  const bool correct = point.invalidity == Invalidity::kCorrect;
  Json times = Json::object();
  if (point.cost) {
    times = {{"compilation", point.cost->compile_us},
             {"runtimes", Json::array({point.cost->rest_us})},
             {"framework", 0},
             {"search_algorithm", 0},
             {"validation", 0}};
  }
  const auto measurement = [](const char* name, const Json& value) {
    return Json{{"name", name}, {"value", value}, {"unit", "us"}};
  };
  Json measurements = Json::array({measurement("time", correct ? Json(point.time_us) : Json())});
  if (point.estimate_us) measurements.push_back(measurement("estimate", *point.estimate_us));
  return {{"configuration", std::move(configuration)},      {"times", std::move(times)},
          {"invalidity", InvalidityName(point.invalidity)}, {"correctness", correct ? 1 : 0},
          {"measurements", std::move(measurements)},        {"objectives", Json::array({"time"})}};
}

}  // namespace

std::string_view InvalidityName(Invalidity invalidity) {
  return kInvalidityNames[static_cast<size_t>(invalidity)];
}

absl::StatusOr<Trace> MakeTrace(const std::vector<std::string>& names,
                                std::vector<RecordedConfig> configs) {
  if (configs.empty()) return Malformed("results", "the trace has no configs");
  absl::flat_hash_map<std::string, std::set<std::string>> texts;
  for (const RecordedConfig& raw : configs) {
    for (const auto& [name, text] : raw.values) texts[name].insert(text);
  }
  Trace trace;
  absl::flat_hash_map<std::string, absl::flat_hash_map<std::string, int64_t>> in_config;
  for (const std::string& name : names) {
    const TraceParameter& parameter =
        trace.parameters.emplace_back(MakeParameter(name, texts[name]));
    for (const auto& value : parameter.values) in_config[name][value.json] = value.in_config;
  }
  absl::flat_hash_map<Config, size_t> places;
  for (RecordedConfig& raw : configs) {
    for (const auto& [name, text] : raw.values) raw.point.config.Set(name, in_config[name][text]);
    const auto [it, added] = places.try_emplace(raw.point.config, trace.points.size());
    if (added) {
      trace.points.push_back(std::move(raw.point));
    } else {
      trace.points[it->second] = std::move(raw.point);
    }
  }
  return trace;
}

absl::StatusOr<Trace> ReadTrace(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(path));
  absl::StatusOr<Trace> trace = ParseTrace(text);
  if (trace.ok()) return trace;
  return absl::Status(trace.status().code(),
                      absl::StrFormat("%s: %s", path, trace.status().message()));
}

absl::StatusOr<Trace> ParseTrace(std::string_view text) {
  ASSIGN_OR_RETURN(const Json file, ParseJson(text));
  if (const Json* cache = Find(file, "cache")) return FromCache(file, *cache);
  if (const Json* results = Find(file, "results")) return FromT4(file, *results);
  return absl::InvalidArgumentError(
      "neither a Kernel Tuner cache (an object with \"cache\") nor T4 (with \"results\")");
}

std::optional<Config> BestConfig(const Trace& known, const Trace& trace) {
  const TracePoint* best = nullptr;
  for (const TracePoint& point : known.points) {
    if (point.invalidity != Invalidity::kCorrect) continue;
    if (best == nullptr || point.time_us < best->time_us) best = &point;
  }
  if (best == nullptr) return std::nullopt;
  Config config;
  for (const TraceParameter& parameter : known.parameters) {
    const std::string* text = ValueText(parameter, best->config);
    if (text == nullptr) continue;
    const auto same = std::ranges::find(trace.parameters, parameter.name, &TraceParameter::name);
    if (same == trace.parameters.end()) return std::nullopt;
    const auto value = std::ranges::find(same->values, *text, &TraceParameter::Value::json);
    if (value == same->values.end()) return std::nullopt;
    config.Set(parameter.name, value->in_config);
  }
  return config;
}

std::string JsonWord(std::string_view word) {
  return Json(word).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string T4Text(const Trace& trace) {
  Json results = Json::array();
  for (const TracePoint& point : trace.points) results.push_back(T4Result(trace, point));
  const Json file = {{"metadata", {{"timeunit", "microseconds"}}},
                     {"schema_version", "1.0.0"},
                     {"results", std::move(results)}};
  return file.dump(1) + "\n";
}

}  // namespace moetune
