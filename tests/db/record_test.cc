#include "db/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

TEST(Record, EveryNameReadsBackAsItsValue) {
  for (int i = 0; i <= static_cast<int>(Outcome::kCrash); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    EXPECT_EQ(ParseOutcome(OutcomeName(outcome)).value(), outcome);
  }
  for (int i = 0; i <= static_cast<int>(Effort::kFinal); ++i) {
    const auto effort = static_cast<Effort>(i);
    EXPECT_EQ(ParseEffort(EffortName(effort)).value(), effort);
  }
  for (const SweepState state : {SweepState::kStarted, SweepState::kFinished}) {
    EXPECT_EQ(ParseSweepState(SweepStateName(state)).value(), state);
  }
}

TEST(Record, AnUnknownNameIsRefusedWithTheNearest) {
  const absl::Status status = ParseOutcome("compile_eror").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'compile_error'"));
}

TEST(Record, UuidsAreOfVersionFourAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uuid = NewUuid();
    ASSERT_TRUE(IsUuid(uuid)) << uuid;
    EXPECT_EQ(uuid[14], '4');
    EXPECT_THAT("89ab", HasSubstr(std::string(1, uuid[19])));
    EXPECT_TRUE(seen.insert(uuid).second) << uuid;
  }
}

TEST(Record, OnlyCanonicalTextIsAUuid) {
  EXPECT_TRUE(IsUuid("00000000-0000-0000-0000-000000000000"));
  EXPECT_FALSE(IsUuid(""));
  EXPECT_FALSE(IsUuid("2F6B7A54-3C1D-4E0F-8A9B-1C2D3E4F5A6B"));
  EXPECT_FALSE(IsUuid("2f6b7a54-3c1d-4e0f-8a9b-1c2d3e4f5a6b "));
  EXPECT_FALSE(IsUuid("2f6b7a543-c1d-4e0f-8a9b-1c2d3e4f5a6b"));
}

TEST(Record, TimestampsAreUtcAndRoundDown) {
  EXPECT_EQ(TimestampText(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(TimestampText(-1), "1969-12-31T23:59:59Z");
  EXPECT_EQ(TimestampText(1'800'000'000'999'999), "2027-01-15T08:00:00Z");
}

TEST(Record, TheBuildersMakeValidRecords) {
  EXPECT_EQ(ValidateRecord(NewRecord(WinnerFor(SmallProblem(16)))), absl::OkStatus());
  EXPECT_EQ(ValidateRecord(NewRecord(MeasurementFor(SmallProblem(16)))), absl::OkStatus());
  EXPECT_EQ(ValidateRecord(NewRecord(StartedSweep())), absl::OkStatus());
}

TEST(Record, WhatCannotBeReadBackIsInvalidAndTheFieldIsNamed) {
  const auto message = [](const Record& record) {
    return std::string(ValidateRecord(record).message());
  };
  const Winner valid = WinnerFor(SmallProblem(16));

  EXPECT_THAT(message({.uuid = "12", .row = valid}), HasSubstr("uuid '12'"));

  Winner winner = valid;
  winner.time_us = std::nan("");
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("time_us is nan"));

  winner = valid;
  winner.default_time_us = -1;
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("default_time_us is -1"));

  winner = valid;
  winner.problem.tokens = 0;
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("tokens must be at least 1"));

  winner = valid;
  winner.device.name = "";
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("device has no name"));

  winner = valid;
  winner.device.copy_gbps = INFINITY;
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("copy_gbps is inf"));

  winner = valid;
  winner.family = "";
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("family is empty"));

  winner = valid;
  winner.config.Set("Block M", 1);
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("config 'Block M=1"));

  winner = valid;
  winner.config.Set("a=1 b", 2);
  EXPECT_THAT(message(NewRecord(winner)), HasSubstr("cannot be read back"));
}

TEST(Record, WhatNoLookUpCouldSendIsInvalidAndTheFieldIsNamed) {
  const auto message = [](const Winner& winner) {
    return std::string(ValidateRecord(NewRecord(winner)).message());
  };
  const Winner valid = WinnerFor(SmallProblem(16));

  Winner winner = valid;
  winner.reason = "\xff";
  EXPECT_THAT(message(winner), HasSubstr("reason is not valid UTF-8"));

  winner = valid;
  winner.environment.driver = "600.10\xc3";
  EXPECT_THAT(message(winner), HasSubstr("driver is not valid UTF-8"));

  winner = valid;
  winner.device.name = "Fiction\n100";
  EXPECT_THAT(message(winner), HasSubstr("name has a control character"));

  winner = valid;
  winner.device.name = std::string(257, 'x');
  EXPECT_THAT(message(winner), HasSubstr("device has a name of 257 bytes"));

  winner = valid;
  winner.device.sm_count = 0;
  EXPECT_THAT(message(winner), HasSubstr("sm_count is 0; at least 1"));

  winner = valid;
  winner.device.memory_bytes = -1;
  EXPECT_THAT(message(winner), HasSubstr("memory_bytes is -1; at least 0"));
}

TEST(Record, ATrialIsNotLostForWhatACompilerSaid) {
  Measurement failed = MeasurementFor(SmallProblem(16));
  failed.outcome = Outcome::kCompileError;
  failed.error = "line 1:\n\xff\xfe\x1b[31m";
  EXPECT_EQ(ValidateRecord(NewRecord(failed)), absl::OkStatus());
}

}  // namespace
}  // namespace moetune
