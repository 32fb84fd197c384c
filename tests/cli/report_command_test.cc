#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "absl/strings/str_format.h"
#include "cli/report_charts.h"
#include "cli/report_data.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kReportCommand;

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Record Trial(const Problem& problem, int64_t block_m, double time_us,
             Effort effort = Effort::kProbe) {
  Measurement trial = MeasurementFor(problem);
  trial.config = ReferenceConfig(block_m);
  trial.effort = effort;
  trial.time_us = time_us;
  return NewRecord(trial);
}

Record Failure(const Problem& problem, int64_t block_m, const std::string& error) {
  Measurement trial = MeasurementFor(problem);
  trial.config = ReferenceConfig(block_m);
  trial.effort = Effort::kProbe;
  trial.outcome = Outcome::kSpills;
  trial.error = error;
  trial.time_us = 0;
  return NewRecord(trial);
}

// On two problems: block_m 64 wins with 50 µs on the first, 32 with 60 µs on the second.
std::vector<Record> TwoProblems() {
  const Problem a = SmallProblem(64), b = SmallProblem(128);
  Winner of_b = WinnerFor(b);
  of_b.time_us = 60;
  of_b.config = ReferenceConfig(32);
  return {NewRecord(StartedSweep()),
          Trial(a, 32, 100),
          Trial(a, 64, 52),
          Failure(a, 128, "spills <96> bytes"),
          Trial(a, 32, 100, Effort::kFinal),
          Trial(a, 64, 50, Effort::kFinal),
          NewRecord(WinnerFor(a)),
          Trial(b, 32, 60),
          Trial(b, 64, 75),
          NewRecord(of_b)};
}

class ReportTest : public ::testing::Test {
 protected:
  std::string Page(const std::vector<Record>& records) {
    OpenStore(db_, OpenMode::kReadWrite).value()->Append(records).value();
    const CliResult result = RunCli(kReportCommand, {"--db", db_, "--html", html_});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, html_ + "\n");
    return ReadFile(html_);
  }

  Report Data(const std::vector<Record>& records) {
    const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
    store->Append(records).value();
    return MakeReport("memory:", store->Scan(0).value());
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
  const std::string html_ = folder_.File("report.html");
};

TEST_F(ReportTest, ThePageNeedsNothingElse) {
  const std::string page = Page(TwoProblems());
  EXPECT_THAT(page, ::testing::StartsWith("<!DOCTYPE html>"));
  for (const char* outside : {"http:", "https:", "src=", "@import", "url(", "<link"}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
}

TEST_F(ReportTest, EveryTagThatIsOpenedIsClosed) {
  const std::string page = Page(TwoProblems());
  std::vector<std::string> open;
  const std::string body =
      page.substr(page.find("<body>"), page.find("<script>") - page.find("<body>"));
  const std::regex tag("<(/?)([a-z0-9]+)[^>]*?(/?)>");
  for (std::sregex_iterator at(body.begin(), body.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2];
    if ((*at)[3] == "/" || name == "input") continue;
    if ((*at)[1] == "/") {
      ASSERT_FALSE(open.empty()) << name;
      ASSERT_EQ(open.back(), name);
      open.pop_back();
    } else {
      open.push_back(name);
    }
  }
  EXPECT_THAT(open, ElementsAre("body"));
}

TEST_F(ReportTest, WinnersStandWithTheirMargins) {
  const std::string page = Page(TwoProblems());
  EXPECT_THAT(page, HasSubstr("All problems: forward bf16 plain e8 n1024 k512 softmax."));
  EXPECT_THAT(page, HasSubstr(">t64x2</td>"));
  EXPECT_THAT(page, HasSubstr("data-value=\"50\">50.00</td>"));
  EXPECT_THAT(page, HasSubstr("</span>2.00x</td><td class=\"number\" data-value=\"2\">2.00x</td>"));
  EXPECT_THAT(page, HasSubstr("title=\"beat the default by 50.0 %\""));
}

TEST_F(ReportTest, FailuresAreCountedByClassAndTheirTextIsNoMarkup) {
  const std::string page = Page(TwoProblems());
  EXPECT_THAT(page, HasSubstr("<td>spills</td><td>reference</td>"));
  EXPECT_THAT(page, HasSubstr("spills &lt;96&gt; bytes"));
  EXPECT_THAT(page, HasSubstr("Of 5 candidates."));
}

TEST_F(ReportTest, TheMatrixSetsEachWinnerBesideThoseOfTheOtherProblems) {
  const std::string page = Page(TwoProblems());
  // The winner of the first problem takes 75 µs on the second, whose own takes 60.
  EXPECT_THAT(page, HasSubstr("on t128x2\">1.25</td>"));
  EXPECT_THAT(page, HasSubstr("on t64x2\">2.00</td>"));
  EXPECT_THAT(page, HasSubstr("own\" title=\"reference block_k=32 block_m=64 block_n=64 "
                              "threads=128 on t64x2\">1.00</td>"));
}

TEST_F(ReportTest, ChartsShowConvergenceParametersAndTheRoof) {
  const std::string page = Page(TwoProblems());
  EXPECT_THAT(page, HasSubstr("aria-label=\"Roofline"));
  EXPECT_THAT(page, HasSubstr("% of the roof"));
  EXPECT_THAT(page, HasSubstr("aria-label=\"Trials in their order"));
  EXPECT_THAT(page, HasSubstr("aria-label=\"Time against block_m of reference\""));
  EXPECT_THAT(page, HasSubstr("block_m=64: best 50.00 µs of 1, the winner's"));
  EXPECT_THAT(page, Not(HasSubstr("Time against threads")));  // one value: nothing to see
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

TEST_F(ReportTest, AnEmptyDatabaseSaysSo) {
  EXPECT_THAT(Page({}), HasSubstr("Nothing was measured yet."));
}

TEST_F(ReportTest, WinnersWithoutTrialsAndTrialsWithoutAWinnerAreShown) {
  const std::string page =
      Page({NewRecord(WinnerFor(SmallProblem(1))), Failure(SmallProblem(2), 64, "spills")});
  EXPECT_THAT(page, HasSubstr(">t1x2</td>"));
  EXPECT_THAT(page, HasSubstr("Problems without a winner: 1."));
  EXPECT_THAT(page, HasSubstr("1 configs, no winner"));
}

TEST_F(ReportTest, MeasuredAndEstimatedStandApart) {
  std::vector<Record> records = TwoProblems();
  records.push_back(Trial(SmallProblem(64), 64, 33, Effort::kEstimate));
  const Report report = Data(records);
  ASSERT_EQ(report.devices.size(), 2u);
  EXPECT_EQ(report.devices[0].problems.size(), 2u);
  EXPECT_EQ(report.devices[1].problems.size(), 1u);
  EXPECT_EQ(report.devices[1].Title(), "Fiction 100, estimated by the cost model");
}

TEST_F(ReportTest, ATrialKeepsItsFirstTimeAndThatOfTheHighestEffort) {
  const Problem problem = SmallProblem(64);
  const Report report = Data({Trial(problem, 64, 52), Trial(problem, 64, 50, Effort::kFinal),
                              Trial(problem, 64, 49, Effort::kShort), Trial(problem, 32, 60)});
  const std::vector<ConfigTrial>& trials = report.devices[0].problems[0].trials;
  ASSERT_EQ(trials.size(), 2u);
  EXPECT_EQ(trials[0].first_us, 52);
  EXPECT_EQ(trials[0].time_us, 50);
  EXPECT_EQ(trials[1].config, ReferenceConfig(32));
}

TEST_F(ReportTest, WhatFailedAtFirstHasNoFirstTimeAndNoDot) {
  const Problem problem = SmallProblem(64);
  const Report report =
      Data({Trial(problem, 64, 50), Failure(problem, 32, "flaky"), Trial(problem, 32, 60)});
  const ProblemReport& of = report.devices[0].problems[0];
  EXPECT_EQ(of.trials[1].first_us, 0);
  EXPECT_EQ(of.trials[1].time_us, 60);
  const std::string chart = ConvergenceChart(of);
  EXPECT_EQ(chart.find("h0"), chart.rfind("h0")) << "one dot";
}

TEST_F(ReportTest, TrialsUnderAnotherDriverThanTheWinnersAreLeftOut) {
  std::vector<Record> records = TwoProblems();
  Record other = Trial(SmallProblem(64), 16, 10);
  std::get<Measurement>(other.row).environment.driver = "500.1";
  records.push_back(other);
  EXPECT_EQ(Data(records).devices[0].problems[0].trials.size(), 3u);
}

TEST(Intensity, IsFlopsPerCompulsoryByteWhateverTheDevice) {
  // One expert: 2·t·n·k flops over the bytes of x, w and y in bf16.
  const Problem problem = ProblemOf("forward/bf16/plain/e1/t4096x1/n4096/k4096/balanced");
  EXPECT_NEAR(Intensity(problem), 2.0 * 4096 * 4096 * 4096 / (3.0 * 4096 * 4096 * 2), 1);
}

TEST_F(ReportTest, WhatIsWrongIsSaid) {
  MakeDatabase(db_, {});
  EXPECT_EQ(RunCli(kReportCommand, {"--db", db_}).exit_code, 2);
  const CliResult missing = RunCli(kReportCommand, {"--db", folder_.File("none"), "--html", html_});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("none"));
  const CliResult unwritable =
      RunCli(kReportCommand, {"--db", db_, "--html", folder_.File("no/folder/a.html")});
  EXPECT_EQ(unwritable.exit_code, 1);
  EXPECT_THAT(unwritable.err, HasSubstr("no/folder/a.html"));
}

}  // namespace
}  // namespace moetune
