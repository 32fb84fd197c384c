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
  index_ = index;
  count_ = count;
  problem_ = problem;
  trials_ = trials;
  done_ = 0;
  best_us_ = 0;
  failures_.clear();
  if (terminal_) return;
  out_ << absl::StrFormat("[%d/%d] %s: %d candidates\n", index + 1, count, ProblemKey(problem),
                          trials)
       << std::flush;
}

void TuneProgress::OnTrial(const Measurement& measurement, bool) {
  // Finalists are timed again, and count once.
  done_ = std::min(done_ + 1, trials_);
  if (measurement.outcome != Outcome::kOk) {
    ++failures_[measurement.outcome];
  } else if (best_us_ == 0 || measurement.time_us < best_us_) {
    best_us_ = measurement.time_us;
  }
  if (now_() - shown_ < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  shown_ = now_();
  if (terminal_) {
    out_ << "\r\033[K" << StateText() << std::flush;
  } else {
    out_ << "  " << StateText() << '\n' << std::flush;
  }
}

void TuneProgress::OnResult(const Problem& problem, const absl::StatusOr<Winner>& winner,
                            bool from_store) {
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

std::string TuneProgress::StateText() const {
  std::string text =
      absl::StrFormat("problem %d of %d, %d of %d trials", index_ + 1, count_, done_, trials_);
  if (best_us_ > 0) {
    absl::StrAppendFormat(&text, ", best %s µs (%s of roof)", MicrosecondsText(best_us_),
                          RoofText(problem_, device_, best_us_));
  }
  for (const auto& [outcome, number] : failures_) {
    absl::StrAppendFormat(&text, ", %d %s", number, OutcomeName(outcome));
  }
  return text + EtaText();
}

// As if every problem took as long as those so far.
std::string TuneProgress::EtaText() const {
  const double part = trials_ == 0 ? 0 : static_cast<double>(done_) / static_cast<double>(trials_);
  const double done = static_cast<double>(index_) + part;
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
