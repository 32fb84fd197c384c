#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kDiffCommand;

namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

Winner Timed(int64_t tokens, double time_us) {
  Winner winner = WinnerFor(SmallProblem(tokens));
  winner.time_us = time_us;
  return winner;
}

class DiffTest : public ::testing::Test {
 protected:
  CliResult Diff(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {a_, b_});
    return RunCli(kDiffCommand, std::move(more));
  }
  Json DiffJson() {
    const CliResult result = Diff({"--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out);
  }

  TempFolder folder_;
  const std::string a_ = folder_.File("a.db");
  const std::string b_ = folder_.File("b.db");
};

TEST_F(DiffTest, EachProblemIsComparedAndCountedAndWhatOneLacksIsSaid) {
  MakeDatabase(a_, {Timed(1, 50), Timed(2, 50), Timed(4, 50), Timed(8, 50)});
  MakeDatabase(b_, {Timed(1, 25), Timed(2, 100), Timed(4, 50.5), Timed(16, 50)});
  const Json diff = DiffJson();
  EXPECT_EQ(diff["faster"], 1);
  EXPECT_EQ(diff["slower"], 1);
  EXPECT_EQ(diff["equal"], 1);
  EXPECT_EQ(diff["only_a"], 1);
  EXPECT_EQ(diff["only_b"], 1);
  EXPECT_NEAR(diff["geometric_mean_speedup"].get<double>(), std::cbrt(50.0 / 50.5), 1e-9);
  ASSERT_EQ(diff["problems"].size(), 5u);
  const auto of = [&](int64_t tokens) {
    for (const Json& row : diff["problems"]) {
      if (row["problem"] == ProblemKey(SmallProblem(tokens))) return row;
    }
    return Json();
  };
  EXPECT_EQ(of(1)["speedup"], 2.0);
  EXPECT_EQ(of(2)["speedup"], 0.5);
  EXPECT_EQ(of(2)["b"]["time_us"], 100);
  EXPECT_TRUE(of(8)["b"].is_null());
  EXPECT_TRUE(of(8)["speedup"].is_null());
  EXPECT_TRUE(of(16)["a"].is_null());
}

TEST_F(DiffTest, TextNamesTheChangeOfConfigAndSumsUp) {
  Winner other = Timed(1, 40);
  other.config = ReferenceConfig(128);
  other.environment.policy = "warm graph 1";
  MakeDatabase(a_, {Timed(1, 50), Timed(2, 50)});
  MakeDatabase(b_, {other, Timed(2, 50)});
  const CliResult result = Diff();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              HasSubstr("1.25x  reference " + ReferenceConfig().Text() + " -> reference " +
                        ReferenceConfig(128).Text() + "; timed under different policies\n"));
  EXPECT_THAT(result.out, HasSubstr("1.00x  same config\n"));
  EXPECT_THAT(result.out, HasSubstr("2 problems in both: B is faster in 1, slower in 0, equal in 1 "
                                    "(within 2 %); geometric mean 1.118x\n"
                                    "0 only in A, 0 only in B\n"));
}

TEST_F(DiffTest, DevicesAndSourcesAreNeverMixed) {
  Winner estimated = Timed(1, 10);
  estimated.estimated = true;
  Winner elsewhere = Timed(1, 10);
  elsewhere.device = Fable75();
  MakeDatabase(a_, {Timed(1, 50)});
  MakeDatabase(b_, {estimated, elsewhere});
  const Json diff = DiffJson();
  EXPECT_EQ(diff["only_a"], 1);
  EXPECT_EQ(diff["only_b"], 2);
  EXPECT_TRUE(diff["geometric_mean_speedup"].is_null());
}

TEST_F(DiffTest, TheStandingWinnersCount) {
  MakeDatabase(a_, {Timed(1, 10), Timed(1, 50)});
  MakeDatabase(b_, {Timed(1, 50)});
  EXPECT_EQ(DiffJson()["equal"], 1);
}

TEST_F(DiffTest, TwoDatabasesAreNeededAndMustExist) {
  MakeDatabase(a_, {});
  EXPECT_EQ(RunCli(kDiffCommand, {a_}).exit_code, 2);
  EXPECT_EQ(RunCli(kDiffCommand, {a_, a_, a_}).exit_code, 2);
  const CliResult missing = Diff();
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr(b_));
}

}  // namespace
}  // namespace moetune
