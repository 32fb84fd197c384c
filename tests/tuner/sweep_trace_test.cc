#include "tuner/sweep_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

const TracedProblem kTraced = {SmallProblem(64), Fiction100().name};

Measurement Probe(int64_t block_m, double time_us) {
  Measurement m = MeasurementFor(SmallProblem(64));
  m.config = ReferenceConfig(block_m);
  m.effort = Effort::kProbe;
  m.time_us = time_us;
  m.samples = 3;
  return m;
}

Measurement Failure(int64_t block_m, Outcome outcome) {
  Measurement m = Probe(block_m, 0);
  m.outcome = outcome;
  m.error = "why";
  return m;
}

Trace TraceOf(const std::vector<Measurement>& rows) {
  std::vector<Record> records;
  for (const Measurement& row : rows) records.push_back(NewRecord(row));
  return SweepTrace(records, kTraced).value();
}

TEST(SweepTrace, ATrialIsAConfigWithItsTimeCostAndEstimate) {
  const Trace trace = TraceOf({Probe(64, 50)});
  ASSERT_EQ(trace.points.size(), 1u);
  EXPECT_EQ(trace.parameters[0].name, "family");
  EXPECT_EQ(trace.parameters[0].values[0].json, "\"reference\"");
  EXPECT_EQ(trace.points[0].config.Get("block_m"), 64);
  EXPECT_EQ(trace.points[0].time_us, 50);
  EXPECT_EQ(trace.points[0].cost, (TraceCost{.compile_us = 300'000, .rest_us = 150}));
  EXPECT_GT(trace.points[0].estimate_us, 0);
}

TEST(SweepTrace, LongerLooksAtAFewAreLeftOut) {
  Measurement final = Probe(64, 60);
  final.effort = Effort::kFinal;
  EXPECT_EQ(TraceOf({Probe(64, 50), final}).points[0].time_us, 50);
}

TEST(SweepTrace, AFailureAtAnyTimeIsOne) {
  const Trace trace = TraceOf({Probe(64, 50), Failure(64, Outcome::kFault)});
  ASSERT_EQ(trace.points.size(), 1u);
  EXPECT_EQ(trace.points[0].invalidity, Invalidity::kRuntime);
}

TEST(SweepTrace, EveryOutcomeHasItsClass) {
  const std::pair<Outcome, Invalidity> classes[] = {
      {Outcome::kCompileError, Invalidity::kCompile},   {Outcome::kSpills, Invalidity::kCompile},
      {Outcome::kSerialised, Invalidity::kCompile},     {Outcome::kLoadError, Invalidity::kRuntime},
      {Outcome::kCrash, Invalidity::kRuntime},          {Outcome::kTimeout, Invalidity::kTimeout},
      {Outcome::kWrongResult, Invalidity::kCorrectness}};
  for (const auto& [outcome, invalidity] : classes) {
    EXPECT_EQ(TraceOf({Failure(64, outcome)}).points[0].invalidity, invalidity);
  }
}

TEST(SweepTrace, HoldsOneProblemOneDeviceAndOneEnvironment) {
  Measurement elsewhere = Probe(16, 1);
  elsewhere.device = Fable75();
  Measurement larger = Probe(32, 1);
  larger.problem = SmallProblem(128);
  Measurement before = Probe(128, 1);
  before.environment.driver = "599";
  const Trace trace = TraceOf({before, elsewhere, larger, Probe(64, 50)});
  ASSERT_EQ(trace.points.size(), 1u);
  EXPECT_EQ(trace.points[0].config.Get("block_m"), 64);
}

TEST(SweepTrace, AFamilyOfAnyNameIsReadBack) {
  for (const std::string family : {"x\"y", "back\\slash", "new\nline", "\xff"}) {
    Measurement m = Probe(64, 50);
    m.family = family;
    const Trace trace = TraceOf({m});
    EXPECT_EQ(ParseTrace(T4Text(trace)).value(), trace);
  }
}

TEST(SweepTrace, SaysWhatThereIsAndWhatThereIsNot) {
  std::vector<Record> records = {NewRecord(Probe(64, 50)), NewRecord(Probe(32, 50))};
  EXPECT_EQ(TracedProblems(records), (std::vector<TracedProblem>{kTraced}));
  const TracedProblem other = {SmallProblem(1), "x"};
  EXPECT_THAT(std::string(SweepTrace(records, other).status().message()), HasSubstr("t1x2"));
}

}  // namespace
}  // namespace moetune
