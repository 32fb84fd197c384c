#include "tuner/sweep_row.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace moetune {
namespace {

std::string HostName() {
  std::array<char, 256> name = {};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Sweep SweepRow(const std::string& id, const SweepOptions& options, SweepState state) {
  return {.id = id,
          .state = state,
          .strategy = options.strategy,
          .seed = options.seed,
          .spec = options.spec_text,
          .host = HostName(),
          .version = options.version,
          .at = NowUs()};
}

Winner WinnerRow(const Measurement& best, const Measurement& standard, const Verdict& verdict) {
  return {.sweep = best.sweep,
          .problem = best.problem,
          .device = best.device,
          .environment = best.environment,
          .family = best.family,
          .config = best.config,
          .cubin_sha256 = best.cubin_sha256,
          .estimated = best.effort == Effort::kEstimate,
          .time_us = verdict.time_us.middle,
          .time_us_low = verdict.time_us.low,
          .time_us_high = verdict.time_us.high,
          .default_family = standard.family,
          .default_config = standard.config,
          .default_time_us = standard.time_us,
          .reason = verdict.reason,
          .measured_at = best.measured_at};
}

bool WasChosenAmong(const Winner& winner, std::span<const Candidate> candidates, size_t standard) {
  const auto is = [](const Candidate& candidate, std::string_view family, const Config& config) {
    return candidate.family->name == family && candidate.config == config;
  };
  return standard < candidates.size() &&
         is(candidates[standard], winner.default_family, winner.default_config) &&
         std::ranges::any_of(candidates, [&](const Candidate& candidate) {
           return is(candidate, winner.family, winner.config);
         });
}

}  // namespace moetune
