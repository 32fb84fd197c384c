#include "cli/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/registry.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

const Candidate kCandidate = {FindFamily("reference").value(), ReferenceConfig()};

// Twice its floor, and the default twice that.
BenchRow RowOf(int64_t tokens) {
  BenchRow row = {.problem = SmallProblem(tokens),
                  .tier = Tier::kExact,
                  .winner = kCandidate,
                  .fallback = kCandidate,
                  .touched_experts = 8,
                  .floor_us = 50};
  row.measured.time_us = 100;
  row.fallback_measured.time_us = 200;
  return row;
}

TEST(SetListed, TheSameTorchLeavesTheFileAsItIs) {
  BenchRow row = RowOf(64);
  row.baseline.times = {{"torch", 102}};
  SetListed({.times = {{"torch", 100}, {"vllm", 80}}}, row);
  EXPECT_EQ(row.listed_scale, 1);
  EXPECT_THAT(row.listed, ElementsAre(Pair("torch", 100), Pair("vllm", 80)));
}

TEST(SetListed, AnotherTorchScalesThemAndLeavesWhatRanHere) {
  BenchRow row = RowOf(64);
  row.baseline.times = {{"torch", 110}, {"triton", 90}};
  SetListed({.times = {{"torch", 100}, {"vllm", 80}}}, row);
  EXPECT_DOUBLE_EQ(row.listed_scale, 1.1);
  EXPECT_DOUBLE_EQ(row.listed.at("vllm"), 88);
  EXPECT_THAT(row.baseline.times, ElementsAre(Pair("torch", 110), Pair("triton", 90)));
}

TEST(BestPeer, IsTheFastestThatReadsCountsOnTheDevice) {
  EXPECT_FALSE(BestPeer({}).has_value());
  EXPECT_THAT(*BestPeer({{"cublas_loop", 50}, {"dense", 10}, {"torch", 90}, {"vllm", 80}}),
              Pair("vllm", 80));
}

TEST(BenchText, PeersHaveColumnsOnlyWhereThereAreSome) {
  BenchRow row = RowOf(64);
  EXPECT_THAT(BenchText({row}), AllOf(HasSubstr("default µs"), Not(HasSubstr("peer"))));
  row.baseline.times = {{"torch", 150}};
  EXPECT_THAT(BenchText({row, RowOf(16)}),
              AllOf(HasSubstr("best peer"), HasSubstr("1.50"), Not(HasSubstr("listed"))));
}

// What ran on another card is never the best peer of this one.
TEST(BenchText, ListedPeersStandInColumnsOfTheirOwn) {
  BenchRow row = RowOf(64);
  row.baseline.times = {{"torch", 150}};
  row.listed = {{"cublas_loop", 90}, {"vllm", 80}};
  EXPECT_EQ(BenchColumns(ColumnsOf({row})).size(), 17u);
  const std::vector<std::string> cells = BenchCells(row, {.baseline = true, .listed = true});
  EXPECT_THAT(std::span(cells).subspan(8),
              ElementsAre("150.0", "torch", "150.0", "1.50", "vllm", "80.00", "0.80", "0.90", "-"));
  EXPECT_THAT(BenchText({row}), HasSubstr("plain    all        1    2.000           2.000        "
                                          "1.500          0.800"));
  row.listed.erase("cublas_loop");
  EXPECT_EQ(BenchCells(row, {.listed = true})[11], "-");
}

TEST(BenchText, RatesAndTheRatioToTheFloorAreThoseOfTheTime) {
  // 2 * 128 * 1024 * 512 products, and 8 * 1024 * 512 weights + 128 * (512 + 1024) values of 2
  // bytes.
  const std::vector<std::string> cells = BenchCells(RowOf(64), {});
  EXPECT_THAT(cells, ElementsAre(ProblemKey(SmallProblem(64)), "exact", "reference", "100.0", "1.3",
                                 "88", "2.00", "200.0"));
}

TEST(BenchText, MeansAreGeometricAndByTokens) {
  BenchRow slow = RowOf(64);
  slow.measured.time_us = 400;  // 8 floors
  const std::string text = BenchText({RowOf(64), slow, RowOf(16)});
  EXPECT_THAT(text, AllOf(HasSubstr("plain    64         2    4.000"),
                          HasSubstr("plain    all        3    3.175")));
}

TEST(BenchText, ARowWithoutATimeSaysWhyAndCountsInNoMean) {
  BenchRow row = RowOf(64);
  row.measured = {.outcome = Outcome::kWrongResult, .error = "row 3 differs"};
  row.baseline.times = {{"torch", 150}};
  EXPECT_THAT(BenchCells(row, {.baseline = true}),
              ElementsAre(testing::_, "exact", "reference", "wrong_result", "-", "-", "-", "200.0",
                          "150.0", "torch", "150.0", "-"));
  EXPECT_THAT(BenchText({row}), HasSubstr("plain    64         0        -"));
  const Json json = BenchJson(row);
  EXPECT_TRUE(json["time_us"].is_null());
  EXPECT_EQ(json["error"], "row 3 differs");
}

TEST(ResultJson, HoldsWhatTheTablesNeed) {
  BenchRow warm = RowOf(64);
  warm.measured.clocks = {.sm_mhz = 1500, .power_watts = 650.4, .temperature_c = 60};
  BenchRow cool = RowOf(16);
  cool.measured.clocks = {.sm_mhz = 1980, .power_watts = 200, .temperature_c = 40};
  const Json json = ResultJson({.title = "t",
                                .command = "moetune bench",
                                .date = "2026-11-25",
                                .device = "d",
                                .driver = "1",
                                .nvrtc = "13.0",
                                .fingerprints = {{"reference", "abc"}}},
                               {warm, cool});
  EXPECT_EQ(json["rows"][0]["fingerprint"], "abc");
  EXPECT_EQ(json["rows"][0]["family"], "reference");
  EXPECT_EQ(json["rows"][0]["values"].size(), json["columns"].size());
  EXPECT_EQ(json["rows"][0]["data"]["over_floor"], 2.0);
  EXPECT_EQ(json["state"], "SM clock 1500 to 1980 MHz, 200 to 650 W, 40 to 60 °C");
  EXPECT_EQ(json["means"]["rows"][0].size(), json["means"]["columns"].size());
}

}  // namespace
}  // namespace moetune
