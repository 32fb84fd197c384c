#include "tests/testing/records.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_format.h"

namespace moetune {

Problem ProblemOf(std::string_view key) {
  absl::StatusOr<Problem> problem = ParseProblem(key);
  if (!problem.ok()) {
    std::fprintf(stderr, "%s\n", problem.status().ToString().c_str());
    std::abort();
  }
  return *problem;
}

Problem SmallProblem(int64_t tokens) {
  return ProblemOf(absl::StrFormat("forward/bf16/plain/e8/t%dx2/n1024/k512/softmax", tokens));
}

Config ReferenceConfig(int64_t block_m) {
  return {{"block_k", 32}, {"block_m", block_m}, {"block_n", 64}, {"threads", 128}};
}

Config MmaConfig(int64_t group_m) {
  return {{"block_k", 64},      {"block_m", 64},  {"block_n", 128},
          {"group_m", group_m}, {"skip_tail", 0}, {"stages", 4},
          {"swap_ab", 0},       {"warps_m", 2},   {"warps_n", 2}};
}

Environment FictionalEnvironment() {
  return {.driver = "600.10",
          .nvrtc = "13.0",
          .kernel_fingerprint = "6b1f5c1d2e8a4f0b9c3d7e6a5f4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b",
          .policy = "cold events 1"};
}

Winner WinnerFor(const Problem& problem, const DeviceSpec& device) {
  return {.sweep = "2f6b7a54-3c1d-4e0f-8a9b-1c2d3e4f5a6b",
          .problem = problem,
          .device = device,
          .environment = FictionalEnvironment(),
          .family = "reference",
          .config = ReferenceConfig(),
          .cubin_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
          .time_us = 50,
          .time_us_low = 49,
          .time_us_high = 51,
          .default_family = "reference",
          .default_config = ReferenceConfig(32),
          .default_time_us = 100,
          .reason = "beat the default by 50.0 %",
          .measured_at = 1'800'000'000'000'000};
}

Measurement MeasurementFor(const Problem& problem, const DeviceSpec& device) {
  return {.sweep = "2f6b7a54-3c1d-4e0f-8a9b-1c2d3e4f5a6b",
          .problem = problem,
          .device = device,
          .environment = FictionalEnvironment(),
          .family = "reference",
          .config = ReferenceConfig(),
          .effort = Effort::kFinal,
          .time_us = 50,
          .time_us_mad = 0.25,
          .samples = 20,
          .compile_ms = 300,
          .seed = 1,
          .clocks = {.sm_mhz = 1980, .memory_mhz = 3201, .power_watts = 512.5, .temperature_c = 61},
          .measured_at = 1'800'000'000'000'000};
}

Sweep StartedSweep() {
  return {.id = "2f6b7a54-3c1d-4e0f-8a9b-1c2d3e4f5a6b",
          .strategy = "exhaustive",
          .seed = 1,
          .spec = "forward/bf16/plain/e8/t16x2/n1024/k512/softmax",
          .host = "nowhere",
          .version = "0.1.0",
          .at = 1'800'000'000'000'000};
}

std::vector<Record> ManyWinners(int count, const DeviceSpec& device) {
  constexpr int kTokenCounts = 25;
  std::vector<Record> records;
  records.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const int shape = i / kTokenCounts;
    const std::string key = absl::StrFormat(
        "forward/%s/%s/e%d/t%dx8/n%d/k2048/softmax", shape % 2 == 0 ? "bf16" : "fp16",
        shape / 2 % 2 == 0 ? "gather" : "scatter+scale", 64 << (shape / 4 % 3),
        1 + 100 * (i % kTokenCounts), 256 * (1 + shape / 12));
    records.push_back(NewRecord(WinnerFor(ProblemOf(key), device)));
  }
  return records;
}

}  // namespace moetune
