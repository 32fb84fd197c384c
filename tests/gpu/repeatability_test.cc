// Tuning the same problem again, with another seed, finds a config that is as fast: the winners of
// three sweeps, timed together by a process of its own, differ by less than 2 %. On a real GPU;
// skips elsewhere.
//
// $MOETUNE_CUBINS keeps the compiled kernels: with them about a minute, from nothing about four on
// 16 cores. $MOETUNE_BUDGET: trials per problem, where the search shall not end by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "absl/strings/str_format.h"
#include "cli/shared_options.h"
#include "kernels/registry.h"
#include "tests/gpu/gpu_test.h"
#include "tests/testing/records.h"
#include "tests/testing/silent_observer.h"
#include "tuner/sweep.h"
#include "tuner/worker.h"
#include "tuner/worker_evaluator.h"

namespace moetune {
namespace {

constexpr double kLargestDifference = 0.02;  // the sweep's guard band

class Repeatability : public ::testing::Test {
 protected:
  std::unique_ptr<WorkerEvaluator> Start(uint64_t seed) {
    const std::string given = Variable("MOETUNE_CUBINS");
    auto evaluator = WorkerEvaluator::Start({.worker = WorkerProgram({}).value(),
                                             .cubin_folder = given.empty() ? folder_.path() : given,
                                             .compile_processes = processes_,
                                             .seed = seed});
    if (evaluator.ok()) return *std::move(evaluator);
    EXPECT_TRUE(absl::IsFailedPrecondition(evaluator.status())) << evaluator.status();
    reason_ = std::string(evaluator.status().message());
    return nullptr;
  }

  // The winner of each problem in a sweep as `moetune tune --seed SEED` makes it.
  std::vector<Winner> Tune(WorkerEvaluator& evaluator, uint64_t seed) {
    const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
    SilentObserver observer;
    const SweepOptions options = {.strategy = "auto",
                                  .budget = Variable("MOETUNE_BUDGET", 0),
                                  .seed = seed,
                                  .look_ahead = std::min(32, processes_ + 1)};
    auto winners = RunSweep(problems_, options, *store, evaluator, observer);
    EXPECT_TRUE(winners.ok()) << winners.status();
    return winners.ok() ? *std::move(winners) : std::vector<Winner>();
  }

  // How much slower the slowest of these is than the fastest, timed together, a config that is
  // there twice as two.
  double Difference(WorkerEvaluator& evaluator, const Problem& problem,
                    const std::vector<Candidate>& candidates) {
    const auto trials = evaluator.Measure(problem, candidates, Effort::kFinal);
    EXPECT_TRUE(trials.ok()) << trials.status();
    if (!trials.ok()) return 0;
    std::vector<double> times_us;
    for (const Trial& trial : *trials) {
      EXPECT_EQ(trial.measurement.outcome, Outcome::kOk) << trial.measurement.error;
      times_us.push_back(trial.measurement.time_us);
      std::cout << absl::StrFormat("  %.2f us  %s %s\n", times_us.back(), trial.measurement.family,
                                   trial.measurement.config.Text());
    }
    return std::ranges::max(times_us) / std::ranges::min(times_us) - 1;
  }

  const std::vector<Problem> problems_ = {
      ProblemOf("forward/bf16/gather/e128/t16x8/n1536/k2048"),
      ProblemOf("forward/bf16/gather/e128/t256x8/n1536/k2048"),
      ProblemOf("forward/bf16/gather/e128/t4096x8/n1536/k2048")};
  const int processes_ = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
  const TempFolder folder_;
  std::string reason_;  // why there is no evaluator
};

TEST_F(Repeatability, WinnersOfThreeSweepsAreEquallyFast) {
  std::vector<std::vector<Candidate>> winners(problems_.size());  // of each problem, by seed
  for (const uint64_t seed : {1, 2, 3}) {
    const auto evaluator = Start(seed);
    if (!evaluator) GTEST_SKIP() << reason_;
    const std::vector<Winner> found = Tune(*evaluator, seed);
    ASSERT_EQ(found.size(), problems_.size());
    for (size_t i = 0; i < found.size(); ++i) {
      winners[i].push_back({FindFamily(found[i].family).value(), found[i].config});
      std::cout << absl::StrFormat("seed %d, %s: %.2f us\n", seed, ProblemKey(problems_[i]),
                                   found[i].time_us);
    }
    std::cout << absl::StrFormat("  the sweep took %.1f s\n",
                                 absl::ToDoubleSeconds(evaluator->usage().total));
  }
  const auto evaluator = Start(4);  // data and routing that none was tuned on
  ASSERT_TRUE(evaluator) << reason_;
  for (size_t i = 0; i < problems_.size(); ++i) {
    std::cout << ProblemKey(problems_[i]) << '\n';
    const double difference = Difference(*evaluator, problems_[i], winners[i]);
    std::cout << absl::StrFormat("  largest difference %.2f %%\n", 100 * difference);
    EXPECT_LT(difference, kLargestDifference) << ProblemKey(problems_[i]);
  }
}

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "worker") return moetune::RunWorker({});
  ::testing::InitGoogleTest(&argc, argv);
  std::cout << std::unitbuf;  // what is known is printed, whatever ends the test
  return RUN_ALL_TESTS();
}
