// An invented space like that of a matrix product: tile sizes, depths and switches that act on each
// other, with failures.
#ifndef MOETUNE_TESTS_TUNER_STRATEGIES_TILE_SPACE_H_
#define MOETUNE_TESTS_TUNER_STRATEGIES_TILE_SPACE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/family.h"
#include "tuner/random.h"
#include "tuner/trace.h"

namespace moetune {

// None where the config needs more than there is.
inline std::optional<double> TileTimeUs(const Config& config) {
  const auto m = static_cast<double>(config.Get("block_m"));
  const auto n = static_cast<double>(config.Get("block_n"));
  const auto k = static_cast<double>(config.Get("block_k"));
  const auto stages = static_cast<double>(config.Get("stages"));
  const auto warps = static_cast<double>(config.Get("warps"));
  if (2 * (m + n) * k * stages > 160 * 1024) return std::nullopt;
  const double registers = m * n / (32 * warps) + 40;
  if (registers > 400) return std::nullopt;
  const double resident = std::min({65536 / (std::min(registers, 255.0) * 32 * warps), 4.0,
                                    160.0 * 1024 / (2 * (m + n) * k * stages)});
  const double hidden = 1 - std::exp(-(stages - 1) * k * std::max(resident, 0.2) / 50);
  double compute = (1 + 10 / k) * std::pow(16384 / (m * n), 0.3) * (warps * resident < 8 ? 1.4 : 1);
  if (config.Get("swizzle") == 0 && k >= 64) compute *= 1.2;
  const double memory = (1 / m + 1 / n) * 60 / std::max(hidden, 0.1);
  const double spilled = 1 + std::max(0.0, registers - 255) * 0.02;
  Random noise{static_cast<uint64_t>(m), static_cast<uint64_t>(n), static_cast<uint64_t>(k),
               static_cast<uint64_t>(stages * 8 + warps)};
  return 100 * (std::max(compute, memory) + 0.3 * std::min(compute, memory)) * spilled *
         std::exp(0.03 * noise.Normal()) * (1 + 0.01 * static_cast<double>(config.Get("group")));
}

// 2,304 configs for `groups` = 3, in lexical order.
inline Trace TileSpace(int64_t groups = 3) {
  Trace trace;
  for (int64_t m : {16, 32, 64, 128, 192, 256}) {
    for (int64_t n : {16, 32, 64, 128, 192, 256}) {
      for (int64_t k : {16, 32, 64, 128}) {
        for (int64_t stages : {1, 2, 3, 4}) {
          for (int64_t warps : {4, 8}) {
            for (int64_t swizzle : {0, 1}) {
              for (int64_t group = 0; group < groups; ++group) {
                Config config{{"block_m", m},     {"block_n", n},   {"block_k", k},
                              {"stages", stages}, {"warps", warps}, {"swizzle", swizzle},
                              {"group", group}};
                const std::optional<double> time_us = TileTimeUs(config);
                trace.points.push_back(
                    {.config = std::move(config),
                     .invalidity = time_us ? Invalidity::kCorrect : Invalidity::kRuntime,
                     .time_us = time_us.value_or(0)});
              }
            }
          }
        }
      }
    }
  }
  return trace;
}

inline std::vector<Candidate> CandidatesOf(const Trace& trace) {
  std::vector<Candidate> candidates;
  for (const TracePoint& point : trace.points) candidates.push_back({.config = point.config});
  return candidates;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TUNER_STRATEGIES_TILE_SPACE_H_
