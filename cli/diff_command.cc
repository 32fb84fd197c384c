// diff: two databases compared by the speed of their winners.
#include <cmath>
#include <iostream>
#include <map>
#include <tuple>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/table.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

using WinnerPointer = std::shared_ptr<const Winner>;

// As far as tuning the same problem twice may differ by chance: the sweep's guard band.
constexpr double kEqualBand = 0.02;

// The winners of one problem on one device; null where a database has none.
struct Pair {
  WinnerPointer a, b;

  const Winner& any() const { return a != nullptr ? *a : *b; }
  bool both() const { return a != nullptr && b != nullptr; }
  double Speedup() const {  // of B over A
    return a->time_us > 0 && b->time_us > 0 ? a->time_us / b->time_us : 1.0;
  }
  bool SameConfig() const { return a->family == b->family && a->config == b->config; }
  bool SamePolicy() const { return a->environment.policy == b->environment.policy; }
};

struct Summary {
  int faster = 0, slower = 0, equal = 0, only_a = 0, only_b = 0;
  double log_speedup = 0;  // summed over the problems of both

  int both() const { return faster + slower + equal; }
  double GeometricMean() const { return std::exp(log_speedup / both()); }
};

std::vector<Pair> Match(const Snapshot& a, const Snapshot& b) {
  using Key = std::tuple<std::string, std::string, bool>;
  const auto key = [](const Winner& winner) {
    return Key(winner.device.name, ProblemKey(winner.problem), winner.estimated);
  };
  std::map<Key, Pair> pairs;
  for (const WinnerPointer& winner : a.Winners()) pairs[key(*winner)].a = winner;
  for (const WinnerPointer& winner : b.Winners()) pairs[key(*winner)].b = winner;
  std::vector<Pair> matched;
  for (auto& [name, pair] : pairs) matched.push_back(std::move(pair));
  return matched;
}

Summary Summarise(const std::vector<Pair>& pairs) {
  Summary summary;
  for (const Pair& pair : pairs) {
    if (!pair.both()) {
      ++(pair.a != nullptr ? summary.only_a : summary.only_b);
      continue;
    }
    const double speedup = pair.Speedup();
    summary.log_speedup += std::log(speedup);
    ++(speedup > 1 + kEqualBand       ? summary.faster
       : 1 / speedup > 1 + kEqualBand ? summary.slower
                                      : summary.equal);
  }
  return summary;
}

std::string Note(const Pair& pair) {
  if (pair.b == nullptr) return "only in A";
  if (pair.a == nullptr) return "only in B";
  std::string note = pair.SameConfig()
                         ? "same config"
                         : absl::StrFormat("%s %s -> %s %s", pair.a->family, pair.a->config.Text(),
                                           pair.b->family, pair.b->config.Text());
  if (!pair.SamePolicy()) note += "; timed under different policies";
  return note;
}

std::string DiffText(const std::vector<Pair>& pairs, const Summary& summary) {
  std::vector<std::vector<std::string>> rows;
  for (const Pair& pair : pairs) {
    const auto time = [](const WinnerPointer& winner) {
      return winner == nullptr ? "-" : MicrosecondsText(winner->time_us);
    };
    rows.push_back({pair.any().device.name, ProblemKey(pair.any().problem),
                    pair.any().estimated ? "estimated" : "measured", time(pair.a), time(pair.b),
                    pair.both() ? SpeedupText(pair.Speedup()) : "-", Note(pair)});
  }
  std::string text =
      TableText({"device", "problem", "source", "A µs", "B µs", "B over A", ""}, rows);
  absl::StrAppendFormat(&text,
                        "\n%d problems in both: B is faster in %d, slower in %d, equal in %d",
                        summary.both(), summary.faster, summary.slower, summary.equal);
  if (summary.both() > 0) {
    absl::StrAppendFormat(&text, " (within %.0f %%); geometric mean %.3fx", 100 * kEqualBand,
                          summary.GeometricMean());
  }
  absl::StrAppendFormat(&text, "\n%d only in A, %d only in B\n", summary.only_a, summary.only_b);
  return text;
}

Json DiffJson(const std::vector<Pair>& pairs, const Summary& summary) {
  Json list = Json::array();
  for (const Pair& pair : pairs) {
    list.push_back({{"problem", ProblemKey(pair.any().problem)},
                    {"device", pair.any().device.name},
                    {"source", pair.any().estimated ? "estimated" : "measured"},
                    {"speedup", pair.both() ? Json(pair.Speedup()) : Json()},
                    {"same_config", pair.both() ? Json(pair.SameConfig()) : Json()},
                    {"same_policy", pair.both() ? Json(pair.SamePolicy()) : Json()},
                    {"a", pair.a == nullptr ? Json() : WinnerJson(*pair.a)},
                    {"b", pair.b == nullptr ? Json() : WinnerJson(*pair.b)}});
  }
  return {{"faster", summary.faster},
          {"slower", summary.slower},
          {"equal", summary.equal},
          {"only_a", summary.only_a},
          {"only_b", summary.only_b},
          {"geometric_mean_speedup", summary.both() > 0 ? Json(summary.GeometricMean()) : Json()},
          {"problems", std::move(list)}};
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::vector<std::string> paths;
  bool json = false;
  Options options(
      "moetune diff A B [--json]",
      "Compares the winners of two databases by speed, problem by problem. Times of "
      "different policies are set side by side and marked: they may not be comparable.");
  options.Words("A B", &paths, 2, "the databases; B over A is above 1 where B is faster");
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (paths.size() != 2) return UsageError("diff takes two databases, A and B");

  ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> a, ReadSnapshot(paths[0]));
  ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> b, ReadSnapshot(paths[1]));
  const std::vector<Pair> pairs = Match(*a, *b);
  const Summary summary = Summarise(pairs);
  if (json) {
    std::cout << JsonText(DiffJson(pairs, summary));
  } else {
    std::cout << DiffText(pairs, summary);
  }
  return kExitOk;
}

}  // namespace

extern const Command kDiffCommand;
const Command kDiffCommand = {
    .name = "diff",
    .summary = "two databases compared by the speed of their winners",
    .run = Run,
};

}  // namespace moetune
