#include "cli/tune_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/testing/fictional_devices.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

Measurement TrialOf(const Problem& problem, double time_us) {
  Measurement trial;
  trial.problem = problem;
  trial.time_us = time_us;
  return trial;
}

// What `tell` prints once the interval between two lines is over.
class TuneProgressTest : public ::testing::Test {
 protected:
  std::string After(const std::function<void()>& tell) {
    now_ += absl::Minutes(1);
    out_.str("");
    tell();
    return out_.str();
  }

  const Problem first_ = SmallProblem(64);
  const Problem second_ = SmallProblem(65);
  absl::Time now_ = absl::UnixEpoch();
  std::ostringstream out_;
  TuneProgress progress_{out_, /*terminal=*/false, Fiction100(), [this] { return now_; }};
};

TEST_F(TuneProgressTest, ProblemsSideBySideKeepTheirOwnCounts) {
  progress_.OnProblem(0, 4, first_, 10);
  progress_.OnProblem(1, 4, second_, 20);
  progress_.OnTrial(TrialOf(first_, 100), false);
  EXPECT_THAT(After([&] { progress_.OnTrial(TrialOf(second_, 7), false); }),
              HasSubstr("problem 2 of 4, 1 of 20 trials, best 7"));
  EXPECT_THAT(After([&] { progress_.OnTrial(TrialOf(first_, 120), false); }),
              HasSubstr("problem 1 of 4, 2 of 10 trials, best 100"));
}

TEST_F(TuneProgressTest, TheTimeLeftCountsEndedAndRunningProblems) {
  progress_.OnProblem(0, 4, first_, 2);
  progress_.OnProblem(1, 4, second_, 2);
  progress_.OnResult(first_, absl::NotFoundError("none passed"), false);
  // Now one problem and a half of four are done, after one minute and a half.
  now_ += absl::Seconds(30);
  EXPECT_THAT(After([&] { progress_.OnTrial(TrialOf(second_, 7), false); }),
              HasSubstr("about 2m30s left"));
  EXPECT_EQ(progress_.failed_problems(), 1);
}

}  // namespace
}  // namespace moetune
