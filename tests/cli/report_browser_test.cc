// What a browser makes of a report: headless Chromium opens the page, a script works its controls,
// and the document at the end is read back. Skips where there is no such browser.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/program.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kReportCommand;

namespace {

using Json = nlohmann::json;

// Empty: there is none.
std::string FindBrowser() {
  const char* path = std::getenv("PATH");
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    for (const auto folder : absl::StrSplit(path == nullptr ? "" : path, ':')) {
      const auto program = std::filesystem::path(std::string(folder)) / name;
      if (std::filesystem::exists(program)) return program;
    }
  }
  return "";
}

class ReportBrowserTest : public ::testing::Test {
 protected:
  void SetUp() override {
    browser_ = FindBrowser();
    if (browser_.empty()) GTEST_SKIP() << "no chromium on the PATH";
    WriteFile(html_, "<p>here</p>");
    if (Open().find("here") == std::string::npos) GTEST_SKIP() << browser_ << " does not start";
  }

  // The document that is left once the page's scripts have run.
  std::string Open() {
    Program browser({"/usr/bin/timeout", "60", browser_, "--headless", "--no-sandbox",
                     "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,800",
                     "--user-data-dir=" + folder_.File("profile"), "--dump-dom",
                     "file://" + html_});
    browser.Wait();
    return browser.out();
  }

  // What `script`, which runs after the page's own, leaves in the object `seen`, and in
  // seen.errors what went wrong.
  Json See(const std::vector<Record>& records, const std::string& script) {
    OpenStore(db_, OpenMode::kReadWrite).value()->Append(records).value();
    EXPECT_EQ(RunCli(kReportCommand, {"--db", db_, "--html", html_}).exit_code, 0);
    const std::string first =
        "<head><script>const seen = {errors: []};"
        "addEventListener('error', (event) => seen.errors.push(event.message));</script>";
    const std::string last = absl::StrCat(
        "<script>", script, "document.title = 'seen ' + JSON.stringify(seen);</script></body>");
    WriteFile(html_, absl::StrReplaceAll(ReadFile(html_), {{"<head>", first}, {"</body>", last}}));
    const std::string document = Open();
    const std::string mark = "<title>seen ";
    const size_t begin = document.find(mark);
    if (begin == std::string::npos) {
      ADD_FAILURE() << "the script did not end: " << document.substr(0, 2000);
      return {};
    }
    const size_t json = begin + mark.size();
    return Json::parse(document.substr(json, document.find("</title>", json) - json));
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
  const std::string html_ = folder_.File("report.html");
  std::string browser_;
};

// Winners of 50, 40 and 60 µs at 64, 128 and 256 tokens.
std::vector<Record> ThreeWinners() {
  std::vector<Record> records;
  for (const auto& [tokens, us] : {std::pair{64, 50.0}, {128, 40.0}, {256, 60.0}}) {
    Winner winner = WinnerFor(SmallProblem(tokens));
    winner.time_us = us;
    records.push_back(NewRecord(MeasurementFor(winner.problem)));
    records.push_back(NewRecord(winner));
  }
  return records;
}

constexpr const char* kTimes =
    "const times = () => [...document.querySelectorAll('.sortable tbody tr')]"
    ".filter((row) => !row.hidden).map((row) => Number(row.children[2].dataset.value));";

TEST_F(ReportBrowserTest, ThePageOpensWithoutErrorsAndLoadsNothing) {
  const Json seen = See(ThreeWinners(), R"js(
    seen.loaded = performance.getEntriesByType("resource").length;
    seen.overflow = document.documentElement.scrollWidth - innerWidth;
    for (const part of document.querySelectorAll("details")) part.open = true;
    const heights = [...document.querySelectorAll("svg")].map((s) => s.getBoundingClientRect().height);
    seen.charts = heights.length;
    seen.flat = heights.filter((height) => height < 10).length;
  )js");
  EXPECT_EQ(seen["errors"], Json::array());
  EXPECT_EQ(seen["loaded"], 0);
  EXPECT_LE(seen["overflow"], 0) << "wider than the window";
  EXPECT_GE(seen["charts"], 2);
  EXPECT_EQ(seen["flat"], 0);
}

TEST_F(ReportBrowserTest, AClickOnAColumnSortsByItAndASecondTurnsItRound) {
  const Json seen = See(ThreeWinners(), absl::StrCat(kTimes, R"js(
    seen.before = times();
    const column = document.querySelectorAll(".sortable th button")[2];
    column.click();
    seen.falling = times();
    column.click();
    seen.rising = times();
    seen.told = column.parentNode.ariaSort;
  )js"));
  EXPECT_EQ(seen["errors"], Json::array());
  EXPECT_EQ(seen["before"], Json({50, 40, 60}));
  EXPECT_EQ(seen["falling"], Json({60, 50, 40}));
  EXPECT_EQ(seen["rising"], Json({40, 50, 60}));
  EXPECT_EQ(seen["told"], "ascending");
}

TEST_F(ReportBrowserTest, OnlyProblemsWithAllTheWordsAreShown) {
  const Json seen = See(ThreeWinners(), absl::StrCat(kTimes, R"js(
    const input = document.querySelector("input");
    const type = (words) => {
      input.value = words;
      input.dispatchEvent(new Event("input"));
    };
    type("FORWARD t128x2");
    seen.one = times();
    seen.details = [...document.querySelectorAll("details")].filter((part) => !part.hidden).length;
    type("");
    seen.all = times();
  )js"));
  EXPECT_EQ(seen["errors"], Json::array());
  EXPECT_EQ(seen["one"], Json({40}));
  EXPECT_EQ(seen["details"], 1);
  EXPECT_EQ(seen["all"], Json({50, 40, 60}));
}

}  // namespace
}  // namespace moetune
