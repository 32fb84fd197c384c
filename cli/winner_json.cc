#include "cli/winner_json.h"

namespace moetune {
namespace {

std::string SourceName(const Winner& winner) { return winner.estimated ? "estimated" : "measured"; }

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json TimestampOrNull(int64_t us) { return us == 0 ? Json() : Json(TimestampText(us)); }

}  // namespace

std::string JsonText(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Json ConfigJson(const Config& config) {
  Json json = Json::object();
  for (const auto& [name, values] : config.entries()) json[name] = values;
  return json;
}

Json WinnerJson(const Winner& winner) {
  return {
      {"problem", ProblemKey(winner.problem)},
      {"device", winner.device.name},
      {"family", winner.family},
      {"config", ConfigJson(winner.config)},
      {"source", SourceName(winner)},
      {"time_us", winner.time_us},
      {"time_us_low", winner.time_us_low},
      {"time_us_high", winner.time_us_high},
      {"default_family", winner.default_family},
      {"default_config", ConfigJson(winner.default_config)},
      {"default_time_us", winner.default_time_us},
      {"speedup", winner.Speedup()},
      {"reason", winner.reason},
      {"driver", winner.environment.driver},
      {"nvrtc", winner.environment.nvrtc},
      {"kernel_fingerprint", winner.environment.kernel_fingerprint},
      {"policy", winner.environment.policy},
      {"cubin_sha256", TextOrNull(winner.cubin_sha256)},
      {"sweep", winner.sweep},
      {"measured_at", TimestampOrNull(winner.measured_at)},
  };
}

Json AnswerJson(const Problem& asked, const Answer& answer) {
  const Choice& choice = answer.choice;
  const Winner& winner = *choice.winner;
  const bool timed = choice.tier != Tier::kDefault;
  return {
      {"problem", ProblemKey(asked)},
      {"matched_problem", ProblemKey(winner.problem)},
      {"tier", TierName(choice.tier)},
      {"family", winner.family},
      {"config", ConfigJson(winner.config)},
      {"source", timed ? SourceName(winner) : "estimated"},
      {"time_us", timed ? Json(winner.time_us) : Json()},
      {"default_time_us", timed ? Json(winner.default_time_us) : Json()},
      {"speedup", timed ? Json(winner.Speedup()) : Json()},
      {"distance", choice.distance},
      {"stale", answer.stale},
      {"routing", RoutingText(winner.problem.routing)},
      {"device", winner.device.name},
      {"cubin_sha256", TextOrNull(winner.cubin_sha256)},
      {"measured_at", TimestampOrNull(timed ? winner.measured_at : 0)},
      {"snapshot_token", answer.snapshot_token},
  };
}

}  // namespace moetune
