#include "cli/tune_progress.h"

#include "absl/strings/str_format.h"
#include "cli/table.h"
#include "kernels/cost_model.h"
#include "kernels/registry.h"

namespace moetune {
namespace {

constexpr absl::Duration kTerminalInterval = absl::Milliseconds(100);
constexpr absl::Duration kPlainInterval = absl::Seconds(10);

std::string RoofText(const Problem& problem, const DeviceSpec& device, double time_us) {
  return absl::StrFormat("%.0f %%", 100 * FloorUs(problem, device) / time_us);
}

// GB/s where memory is the floor, else TFLOP/s.
std::string RateText(const Problem& problem, const DeviceSpec& device, double time_us) {
  const double flops = OpOf(problem.shape.op).flops(problem);
  const double floor_us = FloorUs(problem, device);
  const double peak =
      problem.shape.dtype == Dtype::kFp32 ? device.fma_tflops : device.matrix_tflops;
  if (floor_us > flops / (peak * 1e6)) {
    return absl::StrFormat("%.0f GB/s", floor_us / time_us * device.copy_gbps);
  }
  return absl::StrFormat("%.1f TFLOP/s", flops / time_us / 1e6);
}

}  // namespace

TuneProgress::TuneProgress(std::ostream& out, bool terminal, const DeviceSpec& device,
                           std::function<absl::Time()> now)
    : out_(out),
      terminal_(terminal),
      device_(device),
      now_(std::move(now)),
      started_(now_()),
      shown_(absl::InfinitePast()) {}

void TuneProgress::OnProblem(size_t index, size_t count, const Problem& problem, size_t trials) {
  MutexLock lock(mutex_);
  count_ = count;
  current_[ProblemKey(problem)] = {.index = index, .problem = problem, .trials = trials};
  if (terminal_) return;
  out_ << absl::StrFormat("[%d/%d] %s: %d candidates\n", index + 1, count, ProblemKey(problem),
                          trials)
       << std::flush;
}

void TuneProgress::OnTrial(const Measurement& measurement, bool) {
  MutexLock lock(mutex_);
  Current& current = current_[ProblemKey(measurement.problem)];
  // Finalists are timed again, and count once.
  current.done = std::min(current.done + 1, current.trials);
  if (measurement.outcome != Outcome::kOk) {
    ++current.failures[measurement.outcome];
  } else if (current.best_us == 0 || measurement.time_us < current.best_us) {
    current.best_us = measurement.time_us;
  }
  if (now_() - shown_ < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  shown_ = now_();
  if (terminal_) {
    out_ << "\r\033[K" << StateText(current) << std::flush;
  } else {
    out_ << "  " << StateText(current) << '\n' << std::flush;
  }
}

void TuneProgress::OnResult(const Problem& problem, const absl::StatusOr<Winner>& winner,
                            bool from_store) {
  MutexLock lock(mutex_);
  current_.erase(ProblemKey(problem));
  ++ended_;
  ClearLine();
  if (!winner.ok()) {
    ++failed_problems_;
    out_ << absl::StrFormat("%s: no winner: %s\n", ProblemKey(problem), winner.status().message());
  } else {
    out_ << absl::StrFormat("%s: %s µs, %s %s%s\n", ProblemKey(problem),
                            MicrosecondsText(winner->time_us), winner->family,
                            winner->config.Text(), from_store ? " (kept)" : "");
  }
  out_ << std::flush;
}

void TuneProgress::ClearLine() {
  if (terminal_) out_ << "\r\033[K";
}

std::string TuneProgress::StateText(const Current& current) const {
  std::string text = absl::StrFormat("problem %d of %d, %d of %d trials", current.index + 1, count_,
                                     current.done, current.trials);
  if (current.best_us > 0) {
    absl::StrAppendFormat(&text, ", best %s µs (%s of roof)", MicrosecondsText(current.best_us),
                          RoofText(current.problem, device_, current.best_us));
  }
  for (const auto& [outcome, number] : current.failures) {
    absl::StrAppendFormat(&text, ", %d %s", number, OutcomeName(outcome));
  }
  return text + EtaText();
}

// As if every problem took as long as those so far.
std::string TuneProgress::EtaText() const {
  auto done = static_cast<double>(ended_);
  for (const auto& [key, current] : current_) {
    if (current.trials == 0) continue;
    done += static_cast<double>(current.done) / static_cast<double>(current.trials);
  }
  const absl::Duration elapsed = now_() - started_;
  if (done < 0.05 || elapsed < absl::Seconds(1)) return "";
  const absl::Duration left = elapsed * ((static_cast<double>(count_) - done) / done);
  return absl::StrFormat(", about %s left",
                         absl::FormatDuration(absl::Trunc(left, absl::Seconds(1))));
}

std::string WinnersText(const std::vector<Winner>& winners) {
  std::vector<std::vector<std::string>> rows;
  for (const Winner& winner : winners) {
    rows.push_back(
        {ProblemKey(winner.problem), winner.family + " " + winner.config.Text(),
         MicrosecondsText(winner.time_us), RateText(winner.problem, winner.device, winner.time_us),
         RoofText(winner.problem, winner.device, winner.time_us), SpeedupText(winner.Speedup())});
  }
  return TableText({"problem", "winner", "µs", "rate", "of roof", "speed-up"}, rows);
}

}  // namespace moetune
