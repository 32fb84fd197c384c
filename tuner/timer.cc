#include "tuner/timer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

constexpr double kHopeless = 1.5;
constexpr double kHopelessShort = 2.0;
constexpr double kShortUs = 50;

}  // namespace

std::string Policy::Text() const {
  std::string text = absl::StrFormat(
      "events-%d cold flush=%d,%dxL2 samples=%d,%d,%d long=%g,%d,%d,%d gap=%g", version,
      flush_bytes, flush_l2_times, probe_samples, short_samples, final_rounds, long_us,
      long_probe_samples, long_short_samples, long_final_rounds, idle_gap);
  if (idle_us > 0) absl::StrAppendFormat(&text, "+%gus", idle_us);
  if (idle_tokens > 0) absl::StrAppendFormat(&text, " from t%d", idle_tokens);
  return text;
}

Policy AsPeersWereTimed(Policy policy) {
  policy.idle_us = 10000;
  policy.idle_tokens = 4096;
  return policy;
}

bool IsHopeless(double time_us, double best_us) {
  return best_us > 0 && time_us > best_us * (best_us < kShortUs ? kHopelessShort : kHopeless);
}

Timer::Timer(const Context& context, CUstream_st* stream, const Policy& policy, Buffer flush,
             Event start, Event end)
    : driver_(&context.driver()),
      stream_(stream),
      policy_(policy),
      flush_(std::move(flush)),
      start_(std::move(start)),
      end_(std::move(end)) {}

absl::StatusOr<Timer> Timer::Create(const Context& context, CUstream_st* stream,
                                    const Policy& policy) {
  const int64_t bytes =
      std::max(policy.flush_bytes, policy.flush_l2_times * context.device().l2_bytes);
  ASSIGN_OR_RETURN(Buffer flush, Buffer::Allocate(context.driver(), static_cast<size_t>(bytes)));
  ASSIGN_OR_RETURN(Event start, Event::Create(context.driver()));
  ASSIGN_OR_RETURN(Event end, Event::Create(context.driver()));
  return Timer(context, stream, policy, std::move(flush), std::move(start), std::move(end));
}

absl::Status Timer::Flush() {
  return DriverStatus(*driver_, driver_->fill(flush_.address(), 0, flush_.bytes(), stream_),
                      "cannot flush the L2");
}

absl::StatusOr<double> Timer::Sample(const Enqueue& launch, const ClockProbe* clock) {
  RETURN_IF_ERROR(Flush());
  if (clock != nullptr) RETURN_IF_ERROR(clock->Begin(stream_));
  RETURN_IF_ERROR(start_.Record(stream_));
  RETURN_IF_ERROR(launch());
  RETURN_IF_ERROR(end_.Record(stream_));
  if (clock != nullptr) RETURN_IF_ERROR(clock->End(stream_));
  RETURN_IF_ERROR(end_.Synchronize());
  return start_.ElapsedUs(end_);
}

absl::StatusOr<double> Timer::SampleHot(const Enqueue& launch, int launches) {
  RETURN_IF_ERROR(Flush());
  RETURN_IF_ERROR(launch());
  RETURN_IF_ERROR(start_.Record(stream_));
  for (int i = 0; i < launches; ++i) RETURN_IF_ERROR(launch());
  RETURN_IF_ERROR(end_.Record(stream_));
  RETURN_IF_ERROR(end_.Synchronize());
  ASSIGN_OR_RETURN(const double all_us, start_.ElapsedUs(end_));
  return all_us / launches;
}

absl::StatusOr<std::vector<double>> Timer::Probe(const Enqueue& launch, double verified_us,
                                                 double best_us,
                                                 const std::function<void()>& before) {
  std::vector<double> samples;
  if (policy_.IsLong(verified_us)) samples.push_back(verified_us);
  const auto wanted = [&] {
    if (samples.empty()) return policy_.probe_samples;
    const double least_us = std::ranges::min(samples);
    if (IsHopeless(least_us, best_us)) return 0;
    return policy_.IsLong(least_us) ? policy_.long_probe_samples : policy_.probe_samples;
  };
  while (static_cast<int>(samples.size()) < wanted()) {
    before();
    ASSIGN_OR_RETURN(const double sample, Sample(launch));
    samples.push_back(sample);
  }
  return samples;
}

}  // namespace moetune
