#include "cli/report_page.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "cli/report_charts.h"
#include "cli/svg.h"
#include "cli/table.h"
#include "kernels/cost_model.h"

namespace moetune {
namespace {

// More would make a page that browsers are slow to open; it says what it leaves out.
constexpr size_t kMaxMatrix = 40;
constexpr size_t kMaxDetails = 200;

double RoofPercent(const Winner& winner) {
  return 100 * FloorUs(winner.problem, winner.device) / winner.time_us;
}

std::string NumberCell(double value, const std::string& text) {
  return absl::StrFormat("<td class=\"number\" data-value=\"%.6g\">%s</td>", value, text);
}

std::string CandidateCode(const std::string& family, const Config& config) {
  return absl::StrFormat("%s <code>%s</code>", EscapeHtml(family), EscapeHtml(config.Text()));
}

std::string WinnerRowHtml(const ProblemReport& report, const std::string& label,
                          double most_speedup) {
  const Winner& winner = *report.winner();
  const Measurement* next = report.explanation.RunnerUp();
  const double over_next = next == nullptr ? 0 : next->time_us / winner.time_us;
  const std::string key = EscapeHtml(ProblemKey(report.problem));
  const double roof = RoofPercent(winner);
  std::string row = absl::StrFormat(
      "<tr data-name=\"%s\"><td title=\"%s\">%s</td><td class=\"wrap\" "
      "title=\"%s\">%s</td>",
      key, key, EscapeHtml(label), EscapeHtml(winner.reason),
      CandidateCode(winner.family, winner.config));
  row += NumberCell(winner.time_us, MicrosecondsText(winner.time_us));
  const double tflops = TflopsOf(report.problem, winner.time_us);
  row += NumberCell(tflops, NumberText(tflops));
  row += NumberCell(roof, absl::StrFormat("%.0f %%", roof));
  absl::StrAppendFormat(&row,
                        "<td data-value=\"%.6g\"><span class=\"bar\" style=\"width:%.1fem\"></span>"
                        "%s</td>",
                        winner.Speedup(), 6 * winner.Speedup() / most_speedup,
                        SpeedupText(winner.Speedup()));
  row += NumberCell(over_next, next == nullptr ? "–" : SpeedupText(over_next));
  return row + "</tr>\n";
}

std::string WinnersHtml(const DeviceReport& device) {
  double most = 1;
  for (const ProblemReport& report : device.problems) {
    if (report.winner() != nullptr) most = std::max(most, report.winner()->Speedup());
  }
  const ShortLabels labels = LabelsOf(device.problems);
  std::string rows;
  int without = 0;
  for (size_t i = 0; i < device.problems.size(); ++i) {
    const ProblemReport& report = device.problems[i];
    if (report.winner() != nullptr && report.winner()->time_us > 0) {
      rows += WinnerRowHtml(report, labels.labels[i], most);
    } else {
      ++without;
    }
  }
  std::string html = "<h3>Winners</h3>\n";
  if (!labels.common.empty() && device.problems.size() > 1) {
    absl::StrAppendFormat(&html, "<p>All problems: %s.</p>\n", EscapeHtml(labels.common));
  }
  if (!rows.empty()) {
    html += "<div class=\"scroll\"><table class=\"sortable\"><thead><tr>";
    for (const auto& [name, css_class] : {std::pair{"problem", "text"},
                                          {"winner", "text"},
                                          {"µs", "number"},
                                          {"TFLOP/s", "number"},
                                          {"of roof", "number"},
                                          {"over the default", "text"},
                                          {"over the runner-up", "number"}}) {
      absl::StrAppendFormat(&html, "<th scope=\"col\" class=\"%s\"><button>%s</button></th>",
                            css_class, name);
    }
    absl::StrAppendFormat(&html, "</tr></thead><tbody>\n%s</tbody></table></div>\n", rows);
  }
  if (without > 0) {
    absl::StrAppendFormat(&html, "<p class=\"soft\">Problems without a winner: %d.</p>\n", without);
  }
  return html;
}

std::string LegendHtml(const std::vector<std::string>& families) {
  std::string html = "<p class=\"legend\">";
  for (size_t i = 0; i < families.size(); ++i) {
    Svg svg(14, 14, families[i]);
    svg.Mark({7, 7}, 5, i, absl::StrFormat("mark f%d", i % 4), families[i]);
    absl::StrAppendFormat(&html, "<span>%s %s</span>", std::move(svg).Finish(),
                          EscapeHtml(families[i]));
  }
  return html + "</p>\n";
}

std::string FailuresHtml(const DeviceReport& device) {
  struct Failed {
    int trials = 0;
    std::string example;
  };
  std::map<std::pair<Outcome, std::string>, Failed> failures;  // by class and family
  size_t all = 0;
  int most = 0;
  for (const ProblemReport& report : device.problems) {
    for (const ConfigTrial& trial : report.trials) {
      ++all;
      if (trial.outcome == Outcome::kOk) continue;
      Failed& failed = failures[{trial.outcome, trial.family}];
      most = std::max(most, ++failed.trials);
      failed.example = trial.error;
    }
  }
  if (all == 0) return "";
  std::string html = "<h3>Failures</h3>\n";
  if (failures.empty()) {
    return absl::StrFormat("%s<p>None of %d candidates failed.</p>\n", html, all);
  }
  html +=
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">class</th><th scope=\"col\">family"
      "</th><th scope=\"col\">candidates</th><th scope=\"col\">the last of "
      "them</th></tr></thead>\n";
  for (const auto& [key, failed] : failures) {
    absl::StrAppendFormat(
        &html,
        "<tr><td>%s</td><td>%s</td><td><span class=\"bar failed\" style=\"width:%.1fem\"></span>%d "
        "</td><td class=\"wrap\">%s</td></tr>\n",
        OutcomeName(key.first), EscapeHtml(key.second), 8.0 * failed.trials / most, failed.trials,
        EscapeHtml(failed.example));
  }
  absl::StrAppendFormat(&html, "</table></div>\n<p class=\"soft\">Of %d candidates.</p>\n", all);
  return html;
}

using ConfigTimes = std::map<std::pair<std::string, Config>, const ConfigTrial*>;

std::string MatrixCell(const Winner& winner, const ProblemReport& on, const ConfigTimes& times,
                       const std::string& title) {
  const auto at = times.find({winner.family, winner.config});
  if (at == times.end()) return "<td class=\"soft\" title=\"not measured\">·</td>";
  if (at->second->outcome != Outcome::kOk) {
    return absl::StrFormat("<td class=\"h5\" title=\"%s\">%s</td>", title,
                           OutcomeName(at->second->outcome));
  }
  const auto own = times.find({on.winner()->family, on.winner()->config});
  const double best = own == times.end() ? on.winner()->time_us : own->second->time_us;
  const double ratio = at->second->time_us / best;
  int heat = 0;
  for (const double step : {1.02, 1.05, 1.1, 1.25, 1.5}) heat += ratio > step ? 1 : 0;
  const bool is_own = own != times.end() && own == at;
  return absl::StrFormat("<td class=\"h%d%s\" title=\"%s\">%.2f</td>", heat, is_own ? " own" : "",
                         title, ratio);
}

// How the winner of each problem does on every other, where it was tried there.
std::string MatrixHtml(const DeviceReport& device) {
  std::vector<ProblemReport> shown;
  for (const ProblemReport& report : device.problems) {
    if (report.winner() != nullptr && !report.trials.empty()) shown.push_back(report);
  }
  if (shown.size() < 2) return "";
  const size_t all = shown.size();
  shown.resize(std::min(all, kMaxMatrix));
  const std::vector<std::string> labels = LabelsOf(shown).labels;
  std::vector<ConfigTimes> times(shown.size());
  for (size_t i = 0; i < shown.size(); ++i) {
    for (const ConfigTrial& trial : shown[i].trials) {
      times[i][{trial.family, trial.config}] = &trial;
    }
  }
  std::string html =
      "<h3>Winners on other problems</h3>\n<p>The time of the row's winner on the column's "
      "problem, over that of the column's own. A dot: it was not tried there.</p>\n"
      "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><td></td>";
  for (const std::string& label : labels) {
    absl::StrAppendFormat(&html, "<th scope=\"col\">%s</th>", EscapeHtml(label));
  }
  html += "</tr></thead><tbody>\n";
  for (size_t i = 0; i < shown.size(); ++i) {
    const Winner& winner = *shown[i].winner();
    absl::StrAppendFormat(&html, "<tr><th scope=\"row\">%s</th>", EscapeHtml(labels[i]));
    const std::string name = EscapeHtml(winner.family + " " + winner.config.Text());
    for (size_t j = 0; j < shown.size(); ++j) {
      html += MatrixCell(winner, shown[j], times[j],
                         absl::StrFormat("%s on %s", name, EscapeHtml(labels[j])));
    }
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (shown.size() < all) {
    absl::StrAppendFormat(&html, "<p class=\"soft\">The first %d of %d problems.</p>\n",
                          shown.size(), all);
  }
  return html;
}

std::string ProblemHtml(const ProblemReport& report) {
  const std::string key = EscapeHtml(ProblemKey(report.problem));
  const Winner* winner = report.winner();
  std::string html = absl::StrFormat(
      "<details data-name=\"%s\"><summary>%s <span class=\"soft\">%d configs%s</span></summary>\n",
      key, key, report.trials.size(),
      winner == nullptr ? ", no winner"
                        : absl::StrFormat(", %s µs", MicrosecondsText(winner->time_us)));
  if (winner != nullptr) {
    absl::StrAppendFormat(&html, "<p>%s: %s</p>\n", CandidateCode(winner->family, winner->config),
                          EscapeHtml(winner->reason));
  }
  return html + ConvergenceChart(report) + ParameterCharts(report) + "</details>\n";
}

std::string ProblemsHtml(const DeviceReport& device) {
  std::string html;
  size_t shown = 0, all = 0;
  for (const ProblemReport& report : device.problems) {
    if (report.trials.empty() || ++all > kMaxDetails) continue;
    ++shown;
    html += ProblemHtml(report);
  }
  if (shown == 0) return "";
  std::string note =
      "<p>The trials in their order: grey what passed, orange above them what failed, and the best "
      "so far. Then the time against each parameter: every trial, the best at each value, and the "
      "winner's value. Times beyond four times the best are drawn there.</p>\n";
  if (shown < all) {
    absl::StrAppendFormat(&note, "<p class=\"soft\">The first %d of %d problems.</p>\n", shown,
                          all);
  }
  return "<h3>Problem by problem</h3>\n" + note + html;
}

std::string DeviceHtml(const DeviceReport& report, size_t number) {
  const DeviceSpec& device = report.device;
  std::string html = absl::StrFormat(
      "<section>\n<h2 id=\"device%d\">%s</h2>\n<p class=\"soft\">%s, %d SMs, %s GB/s, %s TFLOP/s; "
      "%d "
      "problems</p>\n",
      number, EscapeHtml(report.Title()), ArchName(device.compute_capability), device.sm_count,
      NumberText(device.copy_gbps), NumberText(device.matrix_tflops), report.problems.size());
  html += WinnersHtml(report);
  if (const std::string chart = RooflineChart(report); !chart.empty()) {
    html += "<h3>Roofline</h3>\n" + LegendHtml(FamilyNames(report)) + chart;
  }
  if (const std::string chart = OverviewChart(report); !chart.empty()) {
    html +=
        "<h3>Convergence</h3>\n<p>How far the best after so many trials is from the best of "
        "all: each problem, and their median.</p>\n" +
        chart;
  }
  return html + FailuresHtml(report) + MatrixHtml(report) + ProblemsHtml(report) + "</section>\n";
}

}  // namespace

std::string ReportPage(const Report& report) {
  std::string html = absl::StrFormat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>moetune report</title>\n"
      "<style>%s</style>\n</head>\n<body>\n<h1>moetune report</h1>\n<p class=\"soft\">%s at %s; %d "
      "trials in %d %s%s</p>\n",
      ReportStyle(), EscapeHtml(report.source), EscapeHtml(report.token), report.trials,
      report.sweeps, report.sweeps == 1 ? "sweep" : "sweeps",
      report.newest == 0 ? "" : ", the last " + TimestampText(report.newest));
  html += "<nav>";
  for (size_t i = 0; i < report.devices.size(); ++i) {
    absl::StrAppendFormat(&html, "<a href=\"#device%d\">%s</a>", i,
                          EscapeHtml(report.devices[i].Title()));
  }
  html +=
      "</nav>\n<p><input type=\"search\" placeholder=\"show problems with these words\" "
      "aria-label=\"show problems with these words\"></p>\n";
  if (report.devices.empty()) html += "<p>Nothing was measured yet.</p>\n";
  for (size_t i = 0; i < report.devices.size(); ++i) html += DeviceHtml(report.devices[i], i);
  absl::StrAppendFormat(&html, "<script>%s</script>\n</body>\n</html>\n", ReportScript());
  return html;
}

}  // namespace moetune
