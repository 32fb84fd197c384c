// Sweeps that compile nothing but defaults.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "tests/tuner/sweep_fixture.h"
#include "tuner/kernel_name.h"

namespace moetune {
namespace {

TEST_F(SweepTest, AmongChosenFamiliesWithKnownKernelsAloneTheirDefaultIsTried) {
  const Family* chosen = FindFamily("reference").value();
  Run({problem_}, {.families = {chosen}, .known = true});
  const auto best = std::ranges::find(ranked_, chosen, &Candidate::family);
  EXPECT_EQ(evaluator_.Measured(Effort::kProbe), std::vector<Candidate>{*best});
}

TEST_F(SweepTest, WithKnownKernelsAloneNoOtherIsTriedButThatOfTheDefault) {
  Run({problem_}, {.strategy = "random", .budget = 7});
  const Problem next = SmallProblem(65);
  const auto kernel = [&](const Candidate& c) { return KernelName(next.shape, c); };
  std::set<std::string> known = {kernel(*DefaultCandidate(next, evaluator_.device()))};
  for (const Candidate& candidate : evaluator_.Measured(Effort::kProbe)) {
    known.insert(kernel(candidate));
  }
  Run({next}, {.known = true});
  const std::vector<Candidate> probed = evaluator_.Measured(Effort::kProbe);
  EXPECT_GE(probed.size(), known.size());
  for (const Candidate& candidate : probed) {
    EXPECT_TRUE(known.contains(kernel(candidate))) << candidate.config.Text();
  }
}

TEST_F(SweepTest, WithKnownKernelsAloneASecondRunFindsNothingToDo) {
  const std::vector<Problem> problems = {SmallProblem(1), SmallProblem(8192)};
  const auto standard = [&](size_t i) { return *DefaultCandidate(problems[i], evaluator_.spec); };
  const auto kernel = [&](const Candidate& c) { return KernelName(problem_.shape, c); };
  const std::set<std::string> both = {kernel(standard(0)), kernel(standard(1))};
  ASSERT_EQ(both.size(), 2u);
  Run(problems, {.known = true});
  std::vector<size_t> planned;
  for (const Problem& problem : problems) {
    planned.push_back(static_cast<size_t>(
        std::ranges::count_if(RankCandidates(problem, evaluator_.spec),
                              [&](const Candidate& c) { return both.contains(kernel(c)); })));
  }
  EXPECT_EQ(recorder_.planned, planned) << "either tries all that share both defaults' kernels";
  Run(problems, {.known = true});
  EXPECT_EQ(recorder_.measured, 0);
  EXPECT_EQ(recorder_.winners_recalled, 2);
}

}  // namespace
}  // namespace moetune
