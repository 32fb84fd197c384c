#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kReplayCommand;

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::string kTiles = std::string(MOETUNE_SOURCE_DIR) + "/tests/data/tiles_cache.json";

CliResult Replay(std::vector<std::string> arguments) {
  return RunCli(kReplayCommand, std::move(arguments));
}

TEST(ReplayCommand, PrintsALinePerBudgetAndTheScore) {
  const CliResult result =
      Replay({"--trace", kTiles, "--strategy", "random", "--repeats", "5", "--budgets", "1,288"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("288 configs, 64 of them failures; 5 repeats of random\n"));
  EXPECT_THAT(result.out, HasSubstr("        288                   1.000            1.000\n"));
  EXPECT_THAT(result.out, HasSubstr("\nscore "));
  EXPECT_THAT(result.out, HasSubstr(" s of recorded time; 0 is random search"));
  EXPECT_THAT(result.out, HasSubstr(" ms in the strategy per trial, of "));
}

TEST(ReplayCommand, JsonSaysWhatWasRunAndWhatWasReached) {
  const CliResult result =
      Replay({"--trace", kTiles, "--repeats", "3", "--budgets", "10,288", "--seed", "7", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items()) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("budgets", "configs", "failures", "mean_trials", "repeats",
                                 "score", "score_axis", "score_span", "seed", "strategy",
                                 "strategy_ms_per_trial", "trace"));
  EXPECT_EQ(json["strategy"], "auto");
  EXPECT_EQ(json["configs"], 288);
  EXPECT_EQ(json["failures"], 64);
  EXPECT_EQ(json["seed"], 7);
  ASSERT_EQ(json["budgets"].size(), 2u);
  EXPECT_EQ(json["budgets"][1], (Json{{"budget", 288}, {"mean", 1.0}, {"p10", 1.0}}));
  EXPECT_LE(json["budgets"][0]["p10"], json["budgets"][0]["mean"]);
}

TEST(ReplayCommand, GivesTheSameFiguresForTheSameSeed) {
  const auto budgets = [](const std::string& seed) {
    return Json::parse(
        Replay({"--trace", kTiles, "--repeats", "3", "--budgets", "5", "--seed", seed, "--json"})
            .out)["budgets"];
  };
  EXPECT_EQ(budgets("7"), budgets("7"));
  EXPECT_NE(budgets("7"), budgets("8"));
}

TEST(ReplayCommand, AWarmStartTriesTheBestOfAnotherRecordingFirst) {
  const CliResult result =
      Replay({"--trace", kTiles, "--warm", kTiles, "--repeats", "3", "--budgets", "1", "--json"});
  EXPECT_EQ(Json::parse(result.out)["budgets"][0]["mean"], 1.0);
}

TEST(ReplayCommand, ASearchMayEndByItself) {
  const auto mean_trials = [](const std::string& least_gain) -> double {
    return Json::parse(Replay({"--trace", kTiles, "--repeats", "5", "--budgets", "288",
                               "--least-gain", least_gain, "--json"})
                           .out)["mean_trials"];
  };
  EXPECT_LT(mean_trials("50"), 250);
  EXPECT_GE(mean_trials("50"), 100);
}

TEST(ReplayCommand, WhatCannotBeReplayedIsAUsageErrorThatSaysWhy) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{}, "--trace FILE is missing"},
      {{"--trace", kTiles, "--strategy", "magic"}, "unknown strategy 'magic'"},
      {{"--trace", kTiles, "--budgets", "25,,50"}, "--budgets ''"},
      {{"--trace", kTiles, "--budgets", "0"}, "--budgets '0'"},
      {{"--trace", kTiles, "--repeats", "0"}, "repeats"},
  };
  for (const auto& [arguments, error] : cases) {
    const CliResult result = Replay(arguments);
    EXPECT_EQ(result.exit_code, 2) << error;
    EXPECT_THAT(result.err, HasSubstr(error));
  }
}

TEST(ReplayCommand, ABadFileIsNamedWithWhatIsWrong) {
  const TempFolder folder;
  WriteFile(folder.File("list.json"), "[1, 2]");
  WriteFile(folder.File("failed.json"),
            R"({"results": [{"configuration": {"a": 1}, "invalidity": "compile"}]})");
  const std::pair<std::string, std::string> cases[] = {
      {"/nowhere/x.json", "cannot open /nowhere/x.json"},
      {folder.File("list.json"), "list.json: neither a Kernel Tuner cache"},
      {folder.File("failed.json"), "no valid config"},
  };
  for (const auto& [path, error] : cases) {
    const CliResult result = Replay({"--trace", path});
    EXPECT_EQ(result.exit_code, 1) << error;
    EXPECT_THAT(result.err, HasSubstr(error));
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
}  // namespace moetune
