#include "tuner/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string DataFile(const std::string& name) {
  return std::string(MOETUNE_SOURCE_DIR) + "/tests/data/" + name;
}

std::string Refusal(std::string_view text) {
  return std::string(ParseTrace(text).status().message());
}

std::string CacheOf(const std::string& entries) {
  return R"({"tune_params_keys": ["a"], "cache": {)" + entries + "}}";
}

std::string T4Of(const std::string& result) { return R"({"results": [)" + result + "]}"; }

TEST(Trace, ACacheAndItsT4TwinAreTheSameSpace) {
  const Trace cache = ReadTrace(DataFile("tiles_cache.json")).value();
  EXPECT_EQ(cache.points.size(), 288u);
  EXPECT_EQ(cache, ReadTrace(DataFile("tiles_t4.json.gz")).value());
}

TEST(Trace, EveryClassOfFailureIsKept) {
  const Trace trace = ReadTrace(DataFile("tiles_cache.json")).value();
  std::map<std::string_view, int> classes;
  for (const TracePoint& point : trace.points) {
    ++classes[InvalidityName(point.invalidity)];
    EXPECT_EQ(point.time_us > 0, point.invalidity == Invalidity::kCorrect);
  }
  EXPECT_THAT(classes, ElementsAre(testing::Pair("compile", 18), testing::Pair("constraints", 18),
                                   testing::Pair("correct", 224), testing::Pair("correctness", 8),
                                   testing::Pair("runtime", 12), testing::Pair("timeout", 8)));
}

TEST(Trace, TimesAndCostsAreMicroseconds) {
  const Trace trace = ParseTrace(CacheOf(R"("1": {"a": 1, "time": 2.5, "times": [2.0, 3.0],
      "compile_time": 100, "verification_time": 10, "framework_time": 1})"))
                          .value();
  EXPECT_DOUBLE_EQ(trace.points[0].time_us, 2500);
  EXPECT_EQ(trace.points[0].cost, (TraceCost{.compile_us = 100000, .rest_us = 16000}));
  const Trace seconds = ParseTrace(R"({"metadata": {"timeunit": "seconds"}, "results": [
      {"configuration": {"a": 1}, "invalidity": "correct",
       "measurements": [{"name": "time", "value": 0.5}]}]})")
                            .value();
  EXPECT_DOUBLE_EQ(seconds.points[0].time_us, 500000);
  EXPECT_EQ(seconds.points[0].cost, std::nullopt);
}

TEST(Trace, IntegersStayAndOtherValuesBecomeTheirPlace) {
  const Trace trace = ReadTrace(DataFile("tiles_cache.json")).value();
  std::map<std::string, std::vector<std::string>> values;
  for (const TraceParameter& parameter : trace.parameters) {
    for (const auto& [in_config, json] : parameter.values) {
      values[parameter.name].push_back(std::to_string(in_config) + "=" + json);
    }
  }
  EXPECT_THAT(values["block"], ElementsAre("16=16", "32=32", "64=64", "128=128"));
  EXPECT_THAT(values["ratio"], ElementsAre("0=0.25", "1=0.5", "2=1.0"));
  EXPECT_THAT(values["layout"], ElementsAre("0=\"column\"", "1=\"row\"", "2=\"swizzled\""));
  EXPECT_THAT(values["pad"], ElementsAre("0=false", "1=true"));
}

TEST(Trace, T4TextIsReadBackAsTheSameTrace) {
  const Trace trace = ReadTrace(DataFile("tiles_t4.json.gz")).value();
  EXPECT_EQ(ParseTrace(T4Text(trace)).value(), trace);
}

TEST(Trace, EstimatesAndCostsAreReadBackToo) {
  const std::vector<RecordedConfig> configs = {
      {.values = {{"a", "1"}},
       .point = {.time_us = 2,
                 .cost = TraceCost{.compile_us = 7, .rest_us = 3},
                 .estimate_us = 1.5}},
      {.values = {{"a", "2"}}, .point = {.invalidity = Invalidity::kTimeout, .estimate_us = 2.5}}};
  const Trace trace = MakeTrace({"a"}, configs).value();
  EXPECT_EQ(trace.points[1].estimate_us, 2.5);
  EXPECT_EQ(ParseTrace(T4Text(trace)).value(), trace);
}

// A word is its place among those that occur, which differ here.
TEST(Trace, TheBestConfigIsTranslatedByTheTextOfItsValues) {
  const auto trace_of = [](const std::vector<std::pair<std::string, double>>& times) {
    std::vector<RecordedConfig> configs;
    for (const auto& [word, time_us] : times) {
      configs.push_back({.values = {{"kind", "\"" + word + "\""}}, .point = {.time_us = time_us}});
    }
    return MakeTrace({"kind"}, configs).value();
  };
  const Trace known = trace_of({{"b", 1}, {"c", 2}});
  EXPECT_EQ(BestConfig(known, trace_of({{"a", 1}, {"b", 5}, {"c", 2}})), (Config{{"kind", 1}}));
  EXPECT_EQ(BestConfig(known, trace_of({{"c", 1}})), std::nullopt);
}

TEST(Trace, OfARepeatedConfigTheLastCounts) {
  const std::string one = R"({"configuration": {"a": 1}, "invalidity": "compile"})";
  const std::string two = R"({"configuration": {"a": 1}, "invalidity": "timeout"})";
  const Trace trace = ParseTrace(T4Of(one + "," + two)).value();
  ASSERT_EQ(trace.points.size(), 1u);
  EXPECT_EQ(trace.points[0].invalidity, Invalidity::kTimeout);
}

TEST(Trace, AConfigMayLackAParameterThatOthersHave) {
  const Trace trace =
      ParseTrace(T4Of(R"({"configuration": {"family": "x", "a": 1}, "invalidity": "compile"},
                         {"configuration": {"family": "y", "b": 2}, "invalidity": "compile"})"))
          .value();
  EXPECT_EQ(trace.parameters.size(), 3u);
  EXPECT_EQ(trace.points[1].config.Find("a"), nullptr);
  EXPECT_EQ(ParseTrace(T4Text(trace)).value(), trace);
}

TEST(Trace, PythonsNanAndInfinityAreNoTimes) {
  const Trace trace = ParseTrace(CacheOf(R"("1": {"a": 1, "time": NaN, "x": -Infinity},
                                            "2": {"a": 2, "time": 1.5, "x": "NaN \" NaN"})"))
                          .value();
  EXPECT_EQ(trace.points[0].invalidity, Invalidity::kRuntime);
  EXPECT_EQ(trace.points[1].time_us, 1500);
}

TEST(Trace, AnEarlyCachesHugeTimeIsAFailure) {
  const Trace trace = ParseTrace(CacheOf(R"("1": {"a": 1, "time": 1e20})")).value();
  EXPECT_EQ(trace.points[0].invalidity, Invalidity::kRuntime);
}

TEST(Trace, MalformedFilesAreRefusedWithTheirPlace) {
  EXPECT_THAT(Refusal("{\"cache\":\n {\"1\": }"), HasSubstr("line 2"));
  EXPECT_THAT(Refusal(""), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal("[1, 2]"), HasSubstr("neither a Kernel Tuner cache"));
  EXPECT_THAT(Refusal(R"({"cache": {}})"), HasSubstr("tune_params_keys"));
  EXPECT_THAT(Refusal(R"({"cache": [], "tune_params_keys": ["a"]})"), HasSubstr("cache"));
  EXPECT_THAT(Refusal(CacheOf("")), HasSubstr("no configs"));
  EXPECT_THAT(Refusal(CacheOf(R"("7": {"time": 1})")), HasSubstr("7: a is missing"));
  EXPECT_THAT(Refusal(CacheOf(R"("7": 3)")), HasSubstr("7: a is missing"));
  EXPECT_THAT(Refusal(CacheOf(R"("7": {"a": [1], "time": 1})")), HasSubstr("[1]"));
  EXPECT_THAT(Refusal(CacheOf(R"("7": {"a": 1, "time": -1})")), HasSubstr("above zero"));
  EXPECT_THAT(Refusal(R"({"results": 3})"), HasSubstr("results"));
  EXPECT_THAT(Refusal(T4Of("3")), HasSubstr("results[0]: configuration"));
  EXPECT_THAT(Refusal(T4Of(R"({"configuration": {"a": 1}, "invalidity": "odd"})")),
              HasSubstr("\"odd\""));
  EXPECT_THAT(Refusal(T4Of(R"({"configuration": {"a": 1}, "invalidity": "correct"})")),
              HasSubstr("time above zero"));
  EXPECT_THAT(Refusal(R"({"metadata": {"timeunit": "fortnights"}, "results": []})"),
              HasSubstr("fortnights"));
}

TEST(Trace, AFileCutAnywhereIsRefused) {
  const TempFolder folder;
  const std::string path = folder.File("cut");
  for (const char* name : {"tiles_cache.json", "tiles_t4.json.gz"}) {
    const std::string whole = ReadFile(DataFile(name));
    for (size_t i = 0; i < 40; ++i) {
      WriteFile(path, whole.substr(0, whole.size() * i / 40));
      const absl::Status status = ReadTrace(path).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << " " << i;
      EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    }
  }
}

TEST(Trace, AMissingFileIsNamed) {
  const absl::Status status = ReadTrace("/nowhere/x.json").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/x.json"));
}

}  // namespace
}  // namespace moetune
