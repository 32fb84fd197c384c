// replay: a search strategy on a recorded space, and how soon it finds how much.
#include <algorithm>
#include <iostream>
#include <limits>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"
#include "tuner/replay.h"

namespace moetune {
namespace {

// Not "replay_options": those are the tuner's.
struct ReplayCommandOptions {
  std::string trace;
  std::string strategy = "auto";
  std::string budgets = "25,50,100,200,400";
  int64_t repeats = 100;
  int64_t seed = 1;
  int64_t least_gain = 0;          // percent
  std::vector<std::string> known;  // files
  bool json = false;
};

absl::StatusOr<std::vector<int>> ParseBudgets(const std::string& text) {
  std::vector<int> budgets;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(text, ','))) {
    ASSIGN_OR_RETURN(const int64_t budget, ParseInteger("--budgets", word, 1, 1'000'000));
    budgets.push_back(static_cast<int>(budget));
  }
  return budgets;
}

size_t CountFailures(const Trace& trace) {
  return static_cast<size_t>(std::ranges::count_if(trace.points, [](const TracePoint& point) {
    return point.invalidity != Invalidity::kCorrect;
  }));
}

Json ResultJson(const ReplayCommandOptions& asked, const Trace& trace, const ReplayResult& result) {
  Json budgets = Json::array();
  for (const BudgetScore& each : result.budgets) {
    budgets.push_back({{"budget", each.budget}, {"mean", each.mean}, {"p10", each.p10}});
  }
  return {{"trace", asked.trace},
          {"configs", trace.points.size()},
          {"failures", CountFailures(trace)},
          {"strategy", asked.strategy},
          {"repeats", asked.repeats},
          {"seed", asked.seed},
          {"budgets", std::move(budgets)},
          {"score", result.score},
          {"score_axis", result.time_is_recorded ? "recorded time" : "evaluations"},
          {"score_span", result.time_is_recorded ? result.score_span * 1e-6 : result.score_span},
          {"mean_trials", result.mean_trials},
          {"strategy_ms_per_trial", result.strategy_ms_per_trial}};
}

std::string ResultText(const ReplayCommandOptions& asked, const Trace& trace,
                       const ReplayResult& result) {
  std::string text =
      absl::StrFormat("%s: %d configs, %d of them failures; %d repeats of %s\n\n", asked.trace,
                      trace.points.size(), CountFailures(trace), asked.repeats, asked.strategy);
  std::vector<std::vector<std::string>> rows;
  for (const BudgetScore& each : result.budgets) {
    rows.push_back({absl::StrFormat("%d", each.budget), absl::StrFormat("%.3f", each.mean),
                    absl::StrFormat("%.3f", each.p10)});
  }
  text += TableText({"evaluations", "mean of optimum / best", "10th percentile"}, rows);
  text += absl::StrFormat(
      "\nscore %.3f over %s; 0 is random search, 1 the optimum at once\n", result.score,
      result.time_is_recorded ? absl::StrFormat("%.0f s of recorded time", result.score_span * 1e-6)
                              : absl::StrFormat("%.0f evaluations", result.score_span));
  text += absl::StrFormat("%.3f ms in the strategy per trial, of %.1f trials on average%s\n",
                          result.strategy_ms_per_trial, result.mean_trials,
                          asked.least_gain > 0 ? "" : " until the optimum is found");
  return text;
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  ReplayCommandOptions asked;
  Options options(
      "moetune replay --trace FILE [--strategy NAME] [OPTION...]",
      "Runs a search strategy on a recorded space, many times from the start, and prints "
      "how near the best config found came to the optimum. Writes nothing.");
  options.Text("trace", "FILE", &asked.trace,
               "the recording: a Kernel Tuner cache or T4 JSON, plain or gzipped");
  options.Text("strategy", "NAME", &asked.strategy, "what searches (auto)");
  options.Integer("repeats", "N", &asked.repeats, 1, 1'000'000, "searches from the start (100)");
  options.Text("budgets", "LIST", &asked.budgets,
               "evaluations after which to look (25,50,100,200,400)");
  options.Integer("seed", "N", &asked.seed, 0, std::numeric_limits<int64_t>::max(),
                  "of the repeats (1)");
  options.Integer("least-gain", "PERCENT", &asked.least_gain, 0, 100,
                  "let the search end where it expects to gain less, as tune does at 2 (0: never)");
  options.Texts("warm", "FILE", &asked.known,
                "a recording of a like problem, whose best config is tried first, as tune does");
  AddJsonOption(options, &asked.json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (asked.trace.empty()) return UsageError("--trace FILE is missing");
  const absl::StatusOr<const StrategyEntry*> strategy = FindStrategy(asked.strategy);
  RETURN_IF_ERROR(UsageError(strategy.status()));
  absl::StatusOr<std::vector<int>> budgets = ParseBudgets(asked.budgets);
  RETURN_IF_ERROR(UsageError(budgets.status()));

  ASSIGN_OR_RETURN(const Trace trace, ReadTrace(asked.trace));
  ReplayOptions replay = {.repeats = static_cast<int>(asked.repeats),
                          .budgets = *std::move(budgets),
                          .seed = static_cast<uint64_t>(asked.seed),
                          .least_gain = static_cast<double>(asked.least_gain) / 100};
  for (const std::string& path : asked.known) {
    ASSIGN_OR_RETURN(const Trace known, ReadTrace(path));
    std::optional<Config> best = BestConfig(known, trace);
    if (best) replay.first.push_back(*std::move(best));
  }
  ASSIGN_OR_RETURN(const ReplayResult result, Replay(trace, **strategy, replay));
  if (asked.json) {
    std::cout << JsonText(ResultJson(asked, trace, result));
  } else {
    std::cout << ResultText(asked, trace, result);
  }
  return kExitOk;
}

}  // namespace

extern const Command kReplayCommand;
const Command kReplayCommand = {
    .name = "replay",
    .summary = "a search strategy on a recorded space, and how soon it finds how much",
    .run = Run,
};

}  // namespace moetune
