#include "tuner/winner_rule.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"

namespace moetune {
namespace {

bool SurelyAbove(const Interval& ratio, double guard_band) {
  return ratio.low > 1 && ratio.middle > 1 + guard_band;
}

std::string DefaultStands(std::span<const Finalist> finalists, const std::vector<Interval>& gains,
                          double guard_band) {
  if (finalists.size() == 1) return "the default stands: no other config was left to compare";
  const auto best =
      std::max_element(gains.begin() + 1, gains.end(),
                       [](const Interval& a, const Interval& b) { return a.middle < b.middle; });
  if (best->middle <= 1) {
    return absl::StrFormat("the default stands: it is the fastest of %d finalists",
                           finalists.size());
  }
  return absl::StrFormat(
      "the default stands: the best of %d others is %.1f %% faster (95 %% interval %.1f to %.1f "
      "%%), "
      "and a winner must be surely more than %g %% faster",
      finalists.size() - 1, 100 * (best->middle - 1), 100 * (best->low - 1), 100 * (best->high - 1),
      100 * guard_band);
}

// Drops of equals those that are behind back to back: the guard band holds there too, since a few
// launches scatter no less. Where a time is missing nothing is known.
void KeepFastestHot(std::span<const Finalist> finalists, double guard_band,
                    std::vector<size_t>& equals) {
  double best_us = finalists[equals.front()].hot_us;
  for (const size_t i : equals) best_us = std::min(best_us, finalists[i].hot_us);
  if (best_us <= 0) return;
  std::erase_if(equals, [&](size_t i) { return finalists[i].hot_us > best_us * (1 + guard_band); });
}

// How one of `equals` was chosen, `hot` of which are also equally fast back to back.
std::string TieText(size_t equals, size_t hot) {
  if (equals == 1) return {};
  if (hot == 1)
    return absl::StrFormat("; of %d equally fast ones the fastest back to back", equals);
  if (hot == equals) {
    return absl::StrFormat("; of %d equally fast ones it takes the fewest resources", equals);
  }
  return absl::StrFormat(
      "; of %d equally fast ones %d are so back to back too, and of these it takes the fewest "
      "resources",
      equals, hot);
}

}  // namespace

double JudgeByWorstRouting(std::span<Finalist> finalists, size_t routings) {
  const size_t rounds = finalists[0].samples_us.size() / routings;
  const auto median = [&](const Finalist& finalist, size_t routing) {
    return Median(std::span(finalist.samples_us).subspan(routing * rounds, rounds));
  };
  std::vector<double> best_us;
  for (size_t r = 0; r < routings; ++r) {
    best_us.push_back(median(finalists[0], r));
    for (const Finalist& f : finalists) best_us[r] = std::min(best_us[r], median(f, r));
  }
  const double unit_us = GeometricMean(best_us);
  if (routings == 1) return unit_us;
  for (Finalist& finalist : finalists) {
    size_t worst = 0;
    for (size_t r = 1; r < routings; ++r) {
      if (median(finalist, r) * best_us[worst] > median(finalist, worst) * best_us[r]) worst = r;
    }
    std::vector<double> judged;
    for (size_t i = 0; i < rounds; ++i) {
      judged.push_back(finalist.samples_us[worst * rounds + i] / best_us[worst] * unit_us);
    }
    finalist.samples_us = std::move(judged);
  }
  return unit_us;
}

Verdict ChooseWinner(std::span<const Finalist> finalists, double guard_band, uint64_t seed) {
  const Finalist& standard = finalists[0];
  std::vector<Interval> gains;
  std::vector<size_t> faster;
  for (size_t i = 0; i < finalists.size(); ++i) {
    gains.push_back(PairedRatio(standard.samples_us, finalists[i].samples_us, seed));
    if (SurelyAbove(gains[i], guard_band)) faster.push_back(i);
  }
  if (faster.empty()) {
    return {0, MedianInterval(standard.samples_us, seed),
            DefaultStands(finalists, gains, guard_band)};
  }

  const size_t fastest = *std::min_element(faster.begin(), faster.end(), [&](size_t a, size_t b) {
    return Median(finalists[a].samples_us) < Median(finalists[b].samples_us);
  });
  std::erase_if(faster, [&](size_t i) {
    return SurelyAbove(PairedRatio(finalists[i].samples_us, finalists[fastest].samples_us, seed),
                       guard_band);
  });
  const size_t equals = faster.size();
  KeepFastestHot(finalists, guard_band, faster);
  const auto preference = [&](size_t i) {
    const Finalist& f = finalists[i];
    return std::tuple(f.registers, f.shared_bytes, f.candidate.family->name,
                      f.candidate.config.Text());
  };
  const size_t winner = *std::min_element(faster.begin(), faster.end(), [&](size_t a, size_t b) {
    return preference(a) < preference(b);
  });

  std::string reason = absl::StrFormat(
      "%.2fx as fast as the default (95 %% interval %.3fx to %.3fx, %d rounds)",
      gains[winner].middle, gains[winner].low, gains[winner].high, standard.samples_us.size());
  reason += TieText(equals, faster.size());
  return {winner, MedianInterval(finalists[winner].samples_us, seed), std::move(reason)};
}

Verdict ChooseRobustWinner(std::span<Finalist> finalists, const Routing& routing, double guard_band,
                           uint64_t seed) {
  const auto routings = static_cast<size_t>(std::popcount(routing.kinds));
  const double unit_us = JudgeByWorstRouting(finalists, routings);
  Verdict verdict = ChooseWinner(finalists, guard_band, seed);
  if (routings == 1) return verdict;
  absl::StrAppendFormat(&verdict.reason, "; %.2fx the best finalist's time where it is worst of %s",
                        verdict.time_us.middle / unit_us, RoutingText(routing));
  return verdict;
}

}  // namespace moetune
