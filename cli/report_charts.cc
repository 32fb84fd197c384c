#include "cli/report_charts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/svg.h"
#include "cli/table.h"
#include "kernels/cost_model.h"
#include "kernels/registry.h"

namespace moetune {
namespace {

// Times above so many times the best are drawn there: what is far off need not be told apart.
constexpr double kFarOff = 4;
// Dots of one drawing; of more trials every second, third, ... is drawn.
constexpr size_t kMaxDots = 400;

double PeakTflops(const DeviceReport& report) {
  const bool fp32 = std::ranges::all_of(report.problems, [](const ProblemReport& p) {
    return p.problem.shape.dtype == Dtype::kFp32;
  });
  return fp32 ? report.device.fma_tflops : report.device.matrix_tflops;
}

double BestTime(const ProblemReport& report) {
  double best = std::numeric_limits<double>::infinity();
  for (const ConfigTrial& trial : report.trials) {
    for (const double time : {trial.first_us, trial.time_us}) {
      if (time > 0) best = std::min(best, time);
    }
  }
  return best;
}

// The least first time up to each trial; infinite before one has passed.
std::vector<double> BestSoFar(const ProblemReport& report) {
  std::vector<double> best;
  double least = std::numeric_limits<double>::infinity();
  for (const ConfigTrial& trial : report.trials) {
    if (trial.first_us > 0) least = std::min(least, trial.first_us);
    best.push_back(least);
  }
  return best;
}

// A line that keeps its height until it drops. Steps before the first finite value are left out.
std::vector<Point> Steps(const std::vector<double>& values, const Scale& x, const Scale& y) {
  std::vector<Point> points;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    const double height = y(values[i]);
    const bool last = i + 1 == values.size();
    if (!points.empty() && points.back().y == height && !last) continue;
    const double at = x(static_cast<double>(i + 1));
    if (!points.empty()) points.push_back({at, points.back().y});
    points.push_back({at, height});
  }
  return points;
}

// A winner in the roofline.
struct RoofDot {
  double intensity = 0, tflops = 0;
  const Winner* winner = nullptr;
};

std::vector<RoofDot> RoofDots(const DeviceReport& report) {
  std::vector<RoofDot> dots;
  for (const ProblemReport& problem : report.problems) {
    const Winner* winner = problem.winner();
    if (winner == nullptr || winner->time_us <= 0) continue;
    dots.push_back(
        {Intensity(problem.problem), TflopsOf(problem.problem, winner->time_us), winner});
  }
  return dots;
}

std::string RoofTitle(const RoofDot& dot, double reachable_tflops) {
  const Winner& winner = *dot.winner;
  return absl::StrFormat("%s\n%s TFLOP/s, %.0f %% of the roof, %s µs\n%s %s",
                         ProblemKey(winner.problem), NumberText(dot.tflops),
                         100 * dot.tflops / reachable_tflops, MicrosecondsText(winner.time_us),
                         winner.family, winner.config.Text());
}

}  // namespace

std::vector<std::string> FamilyNames(const DeviceReport& report) {
  std::set<std::string> names;
  for (const ProblemReport& problem : report.problems) {
    if (problem.winner() != nullptr) names.insert(problem.winner()->family);
    for (const ConfigTrial& trial : problem.trials) names.insert(trial.family);
  }
  return {names.begin(), names.end()};
}

double Intensity(const Problem& problem) {
  // On a device that computes at once and moves 1 GB/s, the floor is the bytes.
  DeviceSpec memory_alone;
  memory_alone.copy_gbps = 1;
  memory_alone.matrix_tflops = memory_alone.fma_tflops = std::numeric_limits<double>::infinity();
  return OpOf(problem.shape.op).flops(problem) / (FloorUs(problem, memory_alone) * 1e3);
}

double TflopsOf(const Problem& problem, double time_us) {
  return OpOf(problem.shape.op).flops(problem) / time_us / 1e6;
}

std::string RooflineChart(const DeviceReport& report) {
  const std::vector<RoofDot> dots = RoofDots(report);
  const double peak = PeakTflops(report);
  const double gbps = report.device.copy_gbps;
  if (dots.empty() || peak <= 0 || gbps <= 0) return "";

  const auto [least, most] = std::ranges::minmax(dots, {}, &RoofDot::intensity);
  const double slowest = std::ranges::min(dots, {}, &RoofDot::tflops).tflops;
  const double ridge = peak * 1e3 / gbps;
  const Scale x = {.low = std::min(least.intensity, ridge) / 2,
                   .high = std::max(most.intensity, ridge) * 2,
                   .from = 56,
                   .to = 700,
                   .log = true};
  const Scale y = {.low = std::min(slowest, x.low * gbps / 1e3) / 1.5,
                   .high = peak * 1.6,
                   .from = 300,
                   .to = 30,
                   .log = true};
  Svg svg(720, 345,
          "Roofline: the rate of each winner over the arithmetic intensity of its problem");
  svg.Axes(x, y, "flops per byte of compulsory traffic", "TFLOP/s");
  const std::vector<Point> roof = {
      {x(x.low), y(x.low * gbps / 1e3)}, {x(ridge), y(peak)}, {x(x.high), y(peak)}};
  svg.Path(roof, "roof");
  svg.Text({x.to, y(peak) - 6}, absl::StrFormat("%s TFLOP/s", NumberText(peak)), "end");
  const double middle = std::sqrt(x.low * ridge);
  svg.Text({x(middle) + 12, y(middle * gbps / 1e3) + 14},
           absl::StrFormat("%s GB/s", NumberText(gbps)), "start");
  const std::vector<std::string> families = FamilyNames(report);
  for (const RoofDot& dot : dots) {
    const auto family =
        static_cast<size_t>(std::ranges::find(families, dot.winner->family) - families.begin());
    svg.Mark({x(dot.intensity), y(dot.tflops)}, 4.5, family,
             absl::StrFormat("mark f%d", family % 4),
             RoofTitle(dot, std::min(peak, dot.intensity * gbps / 1e3)));
  }
  return std::move(svg).Finish();
}

std::string OverviewChart(const DeviceReport& report) {
  std::vector<std::vector<double>> ratios;  // of each problem that has a best
  size_t longest = 0;
  for (const ProblemReport& problem : report.problems) {
    std::vector<double> best = BestSoFar(problem);
    if (best.empty() || !std::isfinite(best.back())) continue;
    const double least = best.back();
    for (double& time : best) time /= least;
    longest = std::max(longest, best.size());
    ratios.push_back(std::move(best));
  }
  if (longest < 2) return "";

  double most = 1.1;
  std::vector<double> median;
  for (size_t i = 0; i < longest; ++i) {
    std::vector<double> at;  // a search that has ended stays where it ended
    for (const std::vector<double>& best : ratios) at.push_back(best[std::min(i, best.size() - 1)]);
    for (const double ratio : at) most = std::isfinite(ratio) ? std::max(most, ratio) : most;
    std::ranges::nth_element(at, at.begin() + static_cast<ptrdiff_t>(at.size() / 2));
    median.push_back(at[at.size() / 2]);
  }
  const Scale x = {
      .low = 1, .high = static_cast<double>(longest), .from = 56, .to = 700, .log = true};
  const Scale y = {.low = 1, .high = std::min(most, kFarOff), .from = 260, .to = 30};
  Svg svg(720, 305, "Convergence of every problem: the best so far over the best of all");
  svg.Axes(x, y, "trials", "best so far / best of all");
  for (const std::vector<double>& best : ratios) svg.Path(Steps(best, x, y), "thin");
  svg.Path(Steps(median, x, y), "best");
  return std::move(svg).Finish();
}

std::string ConvergenceChart(const ProblemReport& report) {
  const double best = BestTime(report);
  const std::vector<double> so_far = BestSoFar(report);
  if (so_far.size() < 2 || !std::isfinite(best)) return "";
  const Winner* winner = report.winner();
  const double far = best * kFarOff;
  const Scale x = {.low = 1, .high = static_cast<double>(so_far.size()), .from = 56, .to = 600};
  const Scale y = {.low = best * 0.95, .high = far, .from = 210, .to = 30, .log = true};
  Svg svg(720, 255, "Trials in their order, and the best so far");
  svg.Axes(x, y, "trials", "µs");
  std::vector<Point> passed, failed;
  const size_t every = report.trials.size() / kMaxDots + 1;
  for (size_t i = 0; i < report.trials.size(); ++i) {
    const ConfigTrial& trial = report.trials[i];
    const double at = x(static_cast<double>(i + 1));
    if (trial.outcome != Outcome::kOk) {
      failed.push_back({at, y.to - 6});
    } else if (trial.first_us > 0 && i % every == 0) {
      passed.push_back({at, y(trial.first_us)});
    }
  }
  svg.Dots(passed, "dots");
  svg.Dots(failed, "dots failed");
  svg.Path(Steps(so_far, x, y), "best");
  if (winner != nullptr) {
    const double standard = y(std::min(winner->default_time_us, far));
    svg.Line({x.from, standard}, {x.to, standard}, "default");
    svg.Text({x.to + 6, standard + 4},
             absl::StrFormat("default %s", MicrosecondsText(winner->default_time_us)), "start");
    const double won = y(winner->time_us);
    const double apart = std::abs(won - standard) < 14 ? 14 : 0;
    svg.Text({x.to + 6, won + 4 + apart},
             absl::StrFormat("winner %s", MicrosecondsText(winner->time_us)), "start",
             "tick strong");
  }
  return std::move(svg).Finish();
}

namespace {

using ValueTimes = std::map<Config::Values, std::vector<double>>;

std::string ParameterChart(const std::string& family, const std::string& name,
                           const ValueTimes& times, const Config::Values* won, double best) {
  const double width = 60 + 34 * static_cast<double>(times.size());
  const Scale y = {.low = best * 0.95, .high = best * kFarOff, .from = 150, .to = 26, .log = true};
  Svg svg(static_cast<int>(width), 178, absl::StrFormat("Time against %s of %s", name, family));
  for (const double tick : y.Ticks(3)) {
    svg.Line({46, y(tick)}, {width - 4, y(tick)}, "grid");
    svg.Text({42, y(tick) + 4}, NumberText(tick), "end");
  }
  svg.Text({4, 14}, name, "start", "name");
  std::vector<Point> dots, least;
  double at = 63;
  size_t all = 0;
  for (const auto& [value, of_value] : times) all += of_value.size();
  const size_t every = all / kMaxDots + 1;
  for (const auto& [value, of_value] : times) {
    for (size_t i = 0; i < of_value.size(); i += every) {
      // Spread around the value, so that dots of one height do not hide each other.
      const double aside = static_cast<double>(i * 7 % 19) - 9;
      dots.push_back({at + aside, y(of_value[i])});
    }
    least.push_back({at, y(std::ranges::min(of_value))});
    const bool is_won = won != nullptr && *won == value;
    svg.Text({at, 167}, absl::StrJoin(value, ","), "middle", is_won ? "tick strong" : "tick");
    at += 34;
  }
  svg.Dots(dots, "dots");
  svg.Path(least, "best");
  size_t i = 0;
  for (const auto& [value, of_value] : times) {
    const bool is_won = won != nullptr && *won == value;
    svg.Mark(least[i++], is_won ? 5 : 3, 0, is_won ? "mark f1" : "mark f0",
             absl::StrFormat("%s=%s: best %s µs of %d%s", name, absl::StrJoin(value, ","),
                             MicrosecondsText(std::ranges::min(of_value)), of_value.size(),
                             is_won ? ", the winner's" : ""));
  }
  return std::move(svg).Finish();
}

}  // namespace

std::string ParameterCharts(const ProblemReport& report) {
  std::map<std::string, std::map<std::string, ValueTimes>> families;
  for (const ConfigTrial& trial : report.trials) {
    if (trial.outcome != Outcome::kOk) continue;
    for (const auto& [name, values] : trial.config.entries()) {
      families[trial.family][name][values].push_back(trial.time_us);
    }
  }
  const Winner* winner = report.winner();
  const double best = BestTime(report);
  std::string html;
  for (const auto& [family, parameters] : families) {
    std::string charts;
    for (const auto& [name, times] : parameters) {
      if (times.size() < 2) continue;
      const bool of_winner = winner != nullptr && winner->family == family;
      charts += ParameterChart(family, name, times, of_winner ? winner->config.Find(name) : nullptr,
                               best);
    }
    if (charts.empty()) continue;
    absl::StrAppendFormat(&html, "<h5>%s</h5><div class=\"facets\">%s</div>\n", EscapeHtml(family),
                          charts);
  }
  return html;
}

}  // namespace moetune
