#include "tuner/winner_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/registry.h"
#include "tuner/random.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

constexpr double kBand = 0.02;

// 25 rounds around `us`, each with a noise of its own.
Finalist Timed(double us, const char* config, float scatter = 0) {
  Finalist finalist = {.candidate = {Families()[0], ParseConfig(config).value()}, .registers = 64};
  Random random{static_cast<uint64_t>(us)};
  for (int i = 0; i < 25; ++i) {
    finalist.samples_us.push_back(us * (1 + scatter * random.Normal()));
  }
  return finalist;
}

TEST(WinnerRule, TheFastestWinsWhenItBeatsTheDefaultByMoreThanTheBand) {
  const std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(90, "a=2"), Timed(80, "a=3")};
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 2u);
  EXPECT_DOUBLE_EQ(verdict.time_us.middle, 80);
  EXPECT_THAT(verdict.reason, HasSubstr("1.25x as fast as the default"));
}

TEST(WinnerRule, TheDefaultStandsWithinTheBand) {
  const std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(98.5, "a=2")};
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 0u);
  EXPECT_THAT(verdict.reason, HasSubstr("the default stands"));
  EXPECT_THAT(verdict.reason, HasSubstr("1.5 % faster"));
  EXPECT_THAT(verdict.reason, HasSubstr("surely more than 2 % faster"));
}

TEST(WinnerRule, ReasonsTellANarrowBandAndInterval) {
  const std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(99.7, "a=2")};
  EXPECT_THAT(
      ChooseWinner(finalists, 0.005, 1).reason,
      AllOf(HasSubstr("95 % interval 0.3 to 0.3 %"), HasSubstr("surely more than 0.5 % faster")));
  EXPECT_THAT(ChooseWinner(finalists, 0.001, 1).reason, HasSubstr("interval 1.003x to 1.003x"));
}

TEST(WinnerRule, TheDefaultStandsWhereTheGainIsNotSure) {
  const std::vector<Finalist> finalists = {Timed(100, "a=1", 0.1f), Timed(96, "a=2", 0.1f)};
  EXPECT_EQ(ChooseWinner(finalists, kBand, 1).winner, 0u);
}

TEST(WinnerRule, TheDefaultStandsWhenItIsTheFastest) {
  const std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(120, "a=2")};
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 0u);
  EXPECT_THAT(verdict.reason, HasSubstr("the fastest of 2"));
}

TEST(WinnerRule, AlsoALoneFinalistIsGivenAReason) {
  const std::vector<Finalist> finalists = {Timed(100, "a=1")};
  EXPECT_THAT(ChooseWinner(finalists, kBand, 1).reason, HasSubstr("no other config"));
}

TEST(WinnerRule, OfEquallyFastOnesTheOneWithFewerRegistersWins) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(80, "a=2"), Timed(81, "a=3"),
                                     Timed(90, "a=4")};
  finalists[2].registers = 40;
  finalists[3].registers = 20;
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 2u) << "90 is slower by more than the band";
  EXPECT_THAT(verdict.reason, HasSubstr("of 2 equally fast"));
}

TEST(WinnerRule, ThenLessSharedMemoryThenTheFirstInLexicalOrder) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(80, "a=3"), Timed(80.5, "a=2")};
  EXPECT_EQ(ChooseWinner(finalists, kBand, 1).winner, 2u);
  finalists[2].shared_bytes = 1024;
  EXPECT_EQ(ChooseWinner(finalists, kBand, 1).winner, 1u);
}

TEST(WinnerRule, OfEquallyFastOnesTheBestBackToBackWinsWhateverItTakes) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(80, "a=2"), Timed(81, "a=3")};
  finalists[0].hot_us = 50;
  finalists[1].hot_us = 77;
  finalists[2].hot_us = 75;
  finalists[2].registers = 128;
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 2u) << "the default's hot time does not count: it is slower cold";
  EXPECT_THAT(verdict.reason, HasSubstr("of 2 equally fast ones the fastest back to back"));
}

TEST(WinnerRule, WithinTheBandOfTheBestBackToBackTheFewestResourcesWin) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(80, "a=2"), Timed(81, "a=3"),
                                     Timed(80.5, "a=4")};
  const double hot_us[] = {90, 75, 76, 78};
  for (size_t i = 0; i < 4; ++i) finalists[i].hot_us = hot_us[i];
  finalists[2].registers = 40;
  finalists[3].registers = 20;
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 2u) << "78 is behind by more than the band";
  EXPECT_THAT(verdict.reason, HasSubstr("of 3 equally fast ones 2 are so back to back too"));
}

TEST(WinnerRule, AHotTimeThatIsMissingDecidesNothing) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(80, "a=2"), Timed(81, "a=3")};
  finalists[1].hot_us = 75;
  finalists[2].registers = 40;
  EXPECT_EQ(ChooseWinner(finalists, kBand, 1).winner, 2u);
}

// Else one within the band of the best could replace a default that it does not surely beat.
TEST(WinnerRule, AnEqualThatDoesNotBeatTheDefaultItselfIsNotTaken) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(97, "a=2"), Timed(98.5, "a=3")};
  finalists[2].registers = 10;
  EXPECT_EQ(ChooseWinner(finalists, kBand, 1).winner, 1u);
}

// As Timed, on two routings.
Finalist TimedOnTwo(double first_us, double second_us, const char* config) {
  Finalist finalist = Timed(first_us, config);
  const Finalist second = Timed(second_us, config);
  finalist.samples_us.insert(finalist.samples_us.end(), second.samples_us.begin(),
                             second.samples_us.end());
  return finalist;
}

TEST(WinnerRule, OfAMixTheOneWithTheLeastWorstRatioWins) {
  std::vector<Finalist> finalists = {TimedOnTwo(200, 3000, "a=1"), TimedOnTwo(100, 1500, "a=2"),
                                     TimedOnTwo(160, 1000, "a=3"), TimedOnTwo(120, 1200, "a=4")};
  const double unit_us = JudgeByWorstRouting(finalists, 2);
  EXPECT_NEAR(unit_us, std::sqrt(100 * 1000), 1e-9);
  const double ratios[] = {3, 1.5, 1.6, 1.2};
  for (size_t i = 0; i < finalists.size(); ++i) {
    EXPECT_EQ(finalists[i].samples_us.size(), 25u);
    EXPECT_NEAR(Median(finalists[i].samples_us) / unit_us, ratios[i], 1e-9) << i;
  }
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 3u) << "the best on neither";
  EXPECT_THAT(verdict.reason, HasSubstr("2.50x as fast as the default"));
}

TEST(WinnerRule, TheReasonOfAMixSaysTheWorstRatio) {
  std::vector<Finalist> finalists = {TimedOnTwo(200, 3000, "a=1"), TimedOnTwo(100, 1000, "a=2"),
                                     TimedOnTwo(90, 1200, "a=3")};
  const Routing mix = {.kinds = kSoftmax | kZipf};
  const Verdict verdict = ChooseRobustWinner(finalists, mix, kBand, 1);
  EXPECT_EQ(verdict.winner, 1u);
  EXPECT_THAT(verdict.reason, HasSubstr("1.11x the best finalist's time"));
  EXPECT_THAT(verdict.reason, HasSubstr("softmax+zipf"));
}

TEST(WinnerRule, OneRoutingIsJudgedAsItIs) {
  std::vector<Finalist> finalists = {Timed(100, "a=1", 0.1f), Timed(97, "a=2", 0.1f)};
  const std::vector<double> samples = finalists[1].samples_us;
  EXPECT_EQ(JudgeByWorstRouting(finalists, 1),
            std::min(Median(finalists[0].samples_us), Median(samples)));
  EXPECT_EQ(finalists[1].samples_us, samples);
}

TEST(WinnerRule, OneSampleIsEnoughForEstimates) {
  std::vector<Finalist> finalists = {Timed(100, "a=1"), Timed(50, "a=2")};
  for (Finalist& finalist : finalists) finalist.samples_us.resize(1);
  const Verdict verdict = ChooseWinner(finalists, kBand, 1);
  EXPECT_EQ(verdict.winner, 1u);
  EXPECT_EQ(verdict.time_us.low, verdict.time_us.high);
}

}  // namespace
}  // namespace moetune
