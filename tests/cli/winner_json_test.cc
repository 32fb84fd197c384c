#include "cli/winner_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

TEST(WinnerJson, ConfigListsKeepTheirOrderAndSize) {
  Config config = {{"block_m", 64}};
  config.Set("stages", Config::Values{4, -2, 3});
  EXPECT_EQ(ConfigJson(config).dump(), R"({"block_m":[64],"stages":[4,-2,3]})");
  EXPECT_EQ(ConfigJson(Config()).dump(), "{}");
}

TEST(WinnerJson, WhatIsUnknownIsNull) {
  Winner winner = WinnerFor(SmallProblem(64));
  winner.cubin_sha256.clear();
  winner.measured_at = 0;
  const Json json = WinnerJson(winner);
  EXPECT_TRUE(json["cubin_sha256"].is_null());
  EXPECT_TRUE(json["measured_at"].is_null());
}

TEST(WinnerJson, AnEstimateHasTimesAndSaysWhatItIs) {
  auto winner = WinnerFor(SmallProblem(64));
  winner.estimated = true;
  const Answer answer = {.choice = {Tier::kEstimated, 0, std::make_shared<const Winner>(winner)}};
  const Json json = AnswerJson(SmallProblem(64), answer);
  EXPECT_EQ(json["source"], "estimated");
  EXPECT_EQ(json["time_us"], 50);
}

TEST(WinnerJson, BytesThatAreNotUtf8DoNotStopTheOutput) {
  Winner winner = WinnerFor(SmallProblem(64));
  winner.reason = "half a character: \xc2";
  EXPECT_THAT(JsonText(WinnerJson(winner)), HasSubstr("half a character: \xef\xbf\xbd"));
}

}  // namespace
}  // namespace moetune
