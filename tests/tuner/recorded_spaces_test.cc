// `auto` on whole spaces of our own kernels, recorded on a GPU (tests/data/recorded, written by
// tests/gpu/record_traces.sh): how soon it comes near the optimum, cold and warm.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tuner/replay.h"
#include "tuner/trace.h"

namespace moetune {
namespace {

constexpr double kNear = 0.98;  // of the optimum, on average
constexpr double kCold = 0.05;  // of the space may be tried
constexpr double kWarm = 0.02;  // the same, beginning with the winner of another recording
constexpr int kRepeats = 20;

// Paths, sorted.
std::vector<std::string> Recordings() {
  std::vector<std::string> paths;
  const std::filesystem::path folder = MOETUNE_SOURCE_DIR "/tests/data/recorded";
  std::error_code none;  // then there are no recordings, and an empty suite is a failure
  for (const auto& file : std::filesystem::directory_iterator(folder, none)) {
    if (file.path().string().ends_with(".json.gz")) paths.push_back(file.path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

// The mean of optimum / best after this part of the space.
double Reached(const Trace& trace, double part, std::vector<Config> first) {
  const int budget = static_cast<int>(part * static_cast<double>(trace.points.size()));
  const auto result = Replay(trace, *FindStrategy("auto").value(),
                             {.repeats = kRepeats, .budgets = {budget}, .first = std::move(first)});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->budgets[0].mean : 0;
}

class RecordedSpace : public ::testing::TestWithParam<std::string> {
 protected:
  const Trace trace_ = ReadTrace(GetParam()).value();
};

TEST_P(RecordedSpace, IsWhole) {
  EXPECT_GT(trace_.points.size(), 500u);
  EXPECT_TRUE(std::ranges::all_of(trace_.points, [](const TracePoint& point) {
    return point.estimate_us.has_value();
  })) << "without its estimate a config has no place in the order of a sweep";
}

TEST_P(RecordedSpace, AutoIsNearTheOptimumInATwentiethOfItCold) {
  EXPECT_GE(Reached(trace_, kCold, {}), kNear);
}

TEST_P(RecordedSpace, AutoIsNearTheOptimumInAFiftiethOfItWarm) {
  for (const std::string& other : Recordings()) {
    if (other == GetParam()) continue;
    const std::optional<Config> best = BestConfig(ReadTrace(other).value(), trace_);
    ASSERT_TRUE(best) << other << " is of another space";
    EXPECT_GE(Reached(trace_, kWarm, {*best}), kNear) << "after " << other;
  }
}

INSTANTIATE_TEST_SUITE_P(, RecordedSpace, ::testing::ValuesIn(Recordings()),
                         [](const auto& instance) {
                           std::string name =
                               std::filesystem::path(instance.param).stem().stem().string();
                           std::ranges::replace_if(
                               name, [](char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

// Each is the warm start of the others.
TEST(RecordedSpaces, AreThreeAtLeast) { EXPECT_GE(Recordings().size(), 3u); }

}  // namespace
}  // namespace moetune
