#include "cli/bench_report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "cli/table.h"
#include "kernels/registry.h"

namespace moetune {
namespace {

constexpr char kNone[] = "-";
constexpr char kLoopPeer[] = "cublas_loop";
constexpr double kSameTorch = 0.03;

double Tflops(const BenchRow& row) {
  return OpOf(row.problem.shape.op).flops(row.problem) / row.measured.time_us / 1e6;
}

double Gbps(const BenchRow& row) {
  return OpOf(row.problem.shape.op).bytes(row.problem, row.touched_experts) / row.measured.time_us /
         1e3;
}

// A geometric mean of what is known; nothing adds nothing.
class GeometricMean {
 public:
  void Add(double factor) {
    sum_ += std::log(factor);
    ++count_;
  }
  std::string Text() const {
    return count_ == 0 ? kNone : absl::StrFormat("%.3f", std::exp(sum_ / count_));
  }

 private:
  double sum_ = 0;
  int count_ = 0;
};

struct Means {
  int rows = 0;
  GeometricMean over_floor, over_default, over_peer, over_listed;

  void Add(const BenchRow& row) {
    if (!row.ok()) return;
    ++rows;
    over_floor.Add(row.measured.time_us / row.floor_us);
    if (row.fallback_measured.time_us > 0) {
      over_default.Add(row.fallback_measured.time_us / row.measured.time_us);
    }
    const double us = row.measured.time_us;
    if (const auto best = BestPeer(row.baseline.times)) over_peer.Add(best->second / us);
    if (const auto best = BestPeer(row.listed)) over_listed.Add(best->second / us);
  }
};

// In the order in which the rows first name them: by fusions and tokens, and last by fusions alone.
std::vector<std::pair<std::vector<std::string>, Means>> AllMeans(
    const std::vector<BenchRow>& rows) {
  std::vector<std::pair<std::vector<std::string>, Means>> all;
  const auto add = [&](std::vector<std::string> key, const BenchRow& row) {
    auto found = std::ranges::find(all, key, [](const auto& entry) { return entry.first; });
    if (found == all.end()) found = all.insert(all.end(), {std::move(key), Means()});
    found->second.Add(row);
  };
  for (const BenchRow& row : rows) {
    add({FusionsText(row.problem.shape.fusions), absl::StrFormat("%d", row.problem.tokens)}, row);
  }
  for (const BenchRow& row : rows) add({FusionsText(row.problem.shape.fusions), "all"}, row);
  return all;
}

struct Cells {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

Cells MeansCells(const std::vector<BenchRow>& rows) {
  const PeerColumns columns = ColumnsOf(rows);
  Cells cells = {.header = {"fusions", "tokens", "rows", "/ floor", "default / ours"}, .rows = {}};
  if (columns.baseline) cells.header.emplace_back("peer / ours");
  if (columns.listed) cells.header.emplace_back("listed / ours");
  for (const auto& [key, means] : AllMeans(rows)) {
    cells.rows.push_back({key[0], key[1], absl::StrFormat("%d", means.rows),
                          means.over_floor.Text(), means.over_default.Text()});
    if (columns.baseline) cells.rows.back().push_back(means.over_peer.Text());
    if (columns.listed) cells.rows.back().push_back(means.over_listed.Text());
  }
  return cells;
}

// The card as it was right after the samples, over all rows; empty when unknown.
std::string StateText(const std::vector<BenchRow>& rows) {
  const auto range = [&](auto field) {
    double least = 0, most = 0;
    for (const BenchRow& row : rows) {
      const auto value = static_cast<double>(row.measured.clocks.*field);
      if (!row.ok() || value == 0) continue;
      least = least == 0 ? value : std::min(least, value);
      most = std::max(most, value);
    }
    return absl::StrFormat("%.0f to %.0f", least, most);
  };
  const bool known = std::ranges::any_of(
      rows, [](const BenchRow& row) { return row.ok() && row.measured.clocks.sm_mhz > 0; });
  if (!known) return "";
  return absl::StrFormat("SM clock %s MHz, %s W, %s °C", range(&Clocks::sm_mhz),
                         range(&Clocks::power_watts), range(&Clocks::temperature_c));
}

Json TimeOrNull(const Measurement& measurement) {
  return measurement.outcome == Outcome::kOk ? Json(measurement.time_us) : Json();
}

}  // namespace

void SetListed(const PeerRow& peers, BenchRow& row) {
  row.listed = peers.times;
  const auto theirs = row.listed.find("torch");
  const auto ours = row.baseline.times.find("torch");
  if (theirs != row.listed.end() && ours != row.baseline.times.end()) {
    const double scale = ours->second / theirs->second;
    if (std::abs(scale - 1) > kSameTorch) row.listed_scale = scale;
  }
  for (auto& [name, us] : row.listed) us *= row.listed_scale;
}

std::optional<std::pair<std::string, double>> BestPeer(const std::map<std::string, double>& times) {
  std::optional<std::pair<std::string, double>> best;
  for (const auto& [name, us] : times) {
    if (ReadsCountsOnDevice(name) && (!best || us < best->second)) best = {name, us};
  }
  return best;
}

PeerColumns ColumnsOf(const std::vector<BenchRow>& rows) {
  PeerColumns columns;
  for (const BenchRow& row : rows) {
    columns.baseline |= !row.baseline.times.empty();
    columns.listed |= !row.listed.empty();
  }
  return columns;
}

std::vector<std::string> BenchColumns(PeerColumns columns) {
  std::vector<std::string> names = {"problem", "tier", "family",  "µs",
                                    "TFLOP/s", "GB/s", "/ floor", "default µs"};
  const auto add = [&](std::initializer_list<const char*> more) {
    names.insert(names.end(), more.begin(), more.end());
  };
  if (columns.baseline) add({"torch µs", "best peer", "peer µs", "peer / ours"});
  if (columns.listed) add({"listed peer", "listed µs", "listed / ours", "loop / ours", "scaled"});
  return names;
}

std::vector<std::string> BenchCells(const BenchRow& row, PeerColumns columns) {
  const double us = row.measured.time_us;
  const auto time = [](const Measurement& m) {
    return m.outcome == Outcome::kOk ? MicrosecondsText(m.time_us)
                                     : std::string(OutcomeName(m.outcome));
  };
  const auto figure = [&](int decimals, double value) {
    return row.ok() ? absl::StrFormat("%.*f", decimals, value) : kNone;
  };
  std::vector<std::string> cells = {ProblemKey(row.problem),
                                    std::string(TierName(row.tier)),
                                    std::string(row.winner.family->name),
                                    time(row.measured),
                                    figure(1, Tflops(row)),
                                    figure(0, Gbps(row)),
                                    figure(2, us / row.floor_us),
                                    time(row.fallback_measured)};
  const auto add_best = [&](const std::map<std::string, double>& times) {
    const auto best = BestPeer(times);
    cells.push_back(best ? best->first : kNone);
    cells.push_back(best ? MicrosecondsText(best->second) : kNone);
    cells.push_back(best ? figure(2, best->second / us) : kNone);
  };
  if (columns.baseline) {
    const auto torch = row.baseline.times.find("torch");
    cells.push_back(torch == row.baseline.times.end() ? kNone : MicrosecondsText(torch->second));
    add_best(row.baseline.times);
  }
  if (columns.listed) {
    add_best(row.listed);
    const auto loop = row.listed.find(kLoopPeer);
    cells.push_back(loop == row.listed.end() ? kNone : figure(2, loop->second / us));
    cells.push_back(row.listed_scale == 1 ? kNone : absl::StrFormat("%.2f", row.listed_scale));
  }
  return cells;
}

std::string BenchText(const std::vector<BenchRow>& rows) {
  std::vector<std::vector<std::string>> cells;
  const PeerColumns columns = ColumnsOf(rows);
  for (const BenchRow& row : rows) cells.push_back(BenchCells(row, columns));
  const Cells means = MeansCells(rows);
  return TableText(BenchColumns(columns), cells) + "\ngeometric means\n" +
         TableText(means.header, means.rows);
}

Json BenchJson(const BenchRow& row) {
  const Measurement& m = row.measured;
  return {
      {"problem", ProblemKey(row.problem)},
      {"tier", TierName(row.tier)},
      {"family", row.winner.family->name},
      {"config", ConfigJson(row.winner.config)},
      {"outcome", OutcomeName(m.outcome)},
      {"error", m.error},
      {"time_us", TimeOrNull(m)},
      {"time_us_mad", row.ok() ? Json(m.time_us_mad) : Json()},
      {"samples", m.samples},
      {"tflops", row.ok() ? Json(Tflops(row)) : Json()},
      {"gbps", row.ok() ? Json(Gbps(row)) : Json()},
      {"touched_experts", row.touched_experts},
      {"floor_us", row.floor_us},
      {"over_floor", row.ok() ? Json(m.time_us / row.floor_us) : Json()},
      {"default_family", row.fallback.family->name},
      {"default_config", ConfigJson(row.fallback.config)},
      {"default_time_us", TimeOrNull(row.fallback_measured)},
      {"peers", row.baseline.times},
      {"parts", row.baseline.parts},
      {"listed", row.listed},
      {"listed_scale", row.listed_scale},
      {"sm_mhz", m.clocks.sm_mhz},
      {"power_watts", m.clocks.power_watts},
      {"temperature_c", m.clocks.temperature_c},
  };
}

Json ResultJson(const BenchRun& run, const std::vector<BenchRow>& rows) {
  const PeerColumns columns = ColumnsOf(rows);
  Json list = Json::array();
  for (const BenchRow& row : rows) {
    const std::string family(row.winner.family->name);
    list.push_back({{"family", family},
                    {"fingerprint", run.fingerprints.at(family)},
                    {"values", BenchCells(row, columns)},
                    {"data", BenchJson(row)}});
  }
  const Cells means = MeansCells(rows);
  return {{"title", run.title},
          {"command", run.command},
          {"date", run.date},
          {"device", run.device},
          {"driver", run.driver},
          {"nvrtc", run.nvrtc},
          {"state", StateText(rows)},
          {"columns", BenchColumns(columns)},
          {"rows", list},
          {"means", {{"columns", means.header}, {"rows", means.rows}}}};
}

}  // namespace moetune
