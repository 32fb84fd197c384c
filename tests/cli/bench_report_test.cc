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

TEST(SetPeers, TheSameTorchLeavesTheFileAsItIs) {
  const PeerRow peers = {.times = {{"torch", 100}, {"vllm", 80}}};
  BenchRow row = RowOf(64);
  SetPeers(&peers, {{"torch", 102}}, row);
  EXPECT_EQ(row.peer_scale, 1);
  EXPECT_THAT(row.peers, ElementsAre(Pair("torch", 102), Pair("vllm", 80)));
}

TEST(SetPeers, AnotherTorchScalesEveryPeer) {
  const PeerRow peers = {.times = {{"torch", 100}, {"vllm", 80}}};
  BenchRow row = RowOf(64);
  SetPeers(&peers, {{"torch", 110}, {"triton", 90}}, row);
  EXPECT_DOUBLE_EQ(row.peer_scale, 1.1);
  EXPECT_DOUBLE_EQ(row.peers.at("vllm"), 88);
  EXPECT_DOUBLE_EQ(row.peers.at("torch"), 110);
  EXPECT_DOUBLE_EQ(row.peers.at("triton"), 90) << "measured here, and not scaled";
}

TEST(BestPeer, IsTheFastestThatReadsCountsOnTheDevice) {
  BenchRow row = RowOf(64);
  EXPECT_FALSE(BestPeer(row).has_value());
  row.peers = {{"cublas_loop", 50}, {"dense", 10}, {"torch", 90}, {"vllm", 80}};
  EXPECT_THAT(*BestPeer(row), Pair("vllm", 80));
}

TEST(BenchText, PeersHaveColumnsOnlyWhereThereAreSome) {
  BenchRow row = RowOf(64);
  EXPECT_THAT(BenchText({row}), AllOf(HasSubstr("default µs"), Not(HasSubstr("peer"))));
  row.peers = {{"torch", 150}};
  EXPECT_THAT(BenchText({row, RowOf(16)}), AllOf(HasSubstr("best peer"), HasSubstr("1.50")));
}

TEST(BenchText, TheLoopHasAColumnOfItsOwn) {
  BenchRow row = RowOf(64);
  row.peers = {{"cublas_loop", 90}, {"torch", 150}};
  EXPECT_EQ(BenchCells(row, true)[12], "0.90");
  row.peers.erase("cublas_loop");
  EXPECT_EQ(BenchCells(row, true)[12], "-");
}

TEST(BenchText, RatesAndTheRatioToTheFloorAreThoseOfTheTime) {
  // 2 * 128 * 1024 * 512 products, and 8 * 1024 * 512 weights + 128 * (512 + 1024) values of 2
  // bytes.
  const std::vector<std::string> cells = BenchCells(RowOf(64), false);
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
  row.peers = {{"torch", 150}};
  EXPECT_THAT(BenchCells(row, true),
              ElementsAre(testing::_, "exact", "reference", "wrong_result", "-", "-", "-", "200.0",
                          "150.0", "torch", "150.0", "-", "-", "-"));
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
