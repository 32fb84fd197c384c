#include "tuner/compile_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "tests/testing/eventually.h"
#include "tests/tuner/fake_workers.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

constexpr char kArch[] = "sm_90a";

std::unique_ptr<CompilePool> StartOn(const FakeWorkers& workers, int processes = 2,
                                     absl::Duration limit = absl::Seconds(10)) {
  auto pool = CompilePool::Start({.worker = workers.command(),
                                  .cubin_folder = workers.cubins(),
                                  .processes = processes,
                                  .limit = limit});
  EXPECT_TRUE(pool.ok()) << pool.status();
  return *std::move(pool);
}

TEST(CompilePool, CompilesIntoTheFolder) {
  const FakeWorkers workers;
  const auto pool = StartOn(workers);
  EXPECT_EQ(pool->nvrtc(), "13.0");
  const auto result = pool->Wait(TinyProblem(), kGood, kArch);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome, Outcome::kOk) << result->error;
  EXPECT_GT(result->facts.registers, 0);
  EXPECT_EQ(result->cubin_sha256.size(), 64u);
  EXPECT_FALSE(std::filesystem::is_empty(workers.cubins()));
}

TEST(CompilePool, AKernelIsCompiledOnceForAllProblemsOfItsKind) {
  const FakeWorkers workers;
  const auto pool = StartOn(workers);
  const auto first = pool->Wait(TinyProblem(12), kGood, kArch);
  const auto second = pool->Wait(TinyProblem(64), kGood, kArch);
  EXPECT_EQ(*first, *second) << "time included";
  Problem gathered = TinyProblem();
  gathered.shape.fusions = kGather;
  EXPECT_NE(pool->Wait(gathered, kGood, kArch)->cubin_sha256, first->cubin_sha256);
  EXPECT_NE(pool->Wait(TinyProblem(), kGood, "sm_80")->cubin_sha256, first->cubin_sha256);
}

TEST(CompilePool, AKernelIsCompiledOnceForAllConfigsThatShareIt) {
  const FakeWorkers workers;
  const auto pool = StartOn(workers);
  const Family* family = FindFamily("sm80_mma").value();
  const auto first = pool->Wait(TinyProblem(), {family, MmaConfig(1)}, kArch);
  EXPECT_EQ(pool->WaitForAny(TinyProblem(), {{kGood, {family, MmaConfig(8)}}}, kArch), 1u);
  const auto second = pool->Wait(TinyProblem(), {family, MmaConfig(8)}, kArch);
  EXPECT_EQ(*first, *second) << "time included";
}

TEST(CompilePool, IdleProcessesCompileWhatNobodyWaitsFor) {
  const FakeWorkers workers;
  const auto pool = StartOn(workers);
  pool->SubmitSpare(TinyProblem(), kGood, kArch);
  EXPECT_TRUE(Eventually([&] {
    std::error_code none_yet;
    const std::filesystem::directory_iterator folder(workers.cubins(), none_yet);
    return std::any_of(begin(folder), end(folder),
                       [](const auto& entry) { return entry.path().extension() == ".cubin"; });
  }));
}

TEST(CompilePool, ASlowCompileIsEndedAtItsLimitAndTheNextOneGoesOn) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const auto pool = StartOn(workers, 1, absl::Milliseconds(300));
  pool->Submit(TinyProblem(), kBad, kArch);
  pool->Submit(TinyProblem(), kGood, kArch);
  const auto bad = pool->Wait(TinyProblem(), kBad, kArch);
  ASSERT_TRUE(bad.ok()) << bad.status();
  EXPECT_EQ(bad->outcome, Outcome::kTimeout);
  EXPECT_THAT(bad->error, HasSubstr("300ms"));
  EXPECT_EQ(pool->Wait(TinyProblem(), kGood, kArch)->outcome, Outcome::kOk);
}

TEST(CompilePool, ASlowCompileDoesNotHoldUpTheOthers) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const auto pool = StartOn(workers, 2, absl::Seconds(100));
  pool->Submit(TinyProblem(), kBad, kArch);
  EXPECT_EQ(pool->Wait(TinyProblem(), kGood, kArch)->outcome, Outcome::kOk);
}

TEST(CompilePool, WhatIsSparedForIdleTimeNeverHoldsUpWhatIsWaitedFor) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const auto pool = StartOn(workers, 2, absl::Seconds(100));
  pool->SubmitSpare(TinyProblem(), kBad, kArch);
  pool->SubmitSpare(TinyProblem(), kOther, kArch);
  EXPECT_EQ(pool->Wait(TinyProblem(), kGood, kArch)->outcome, Outcome::kOk);
  EXPECT_EQ(pool->Wait(TinyProblem(), kOther, kArch)->outcome, Outcome::kOk)
      << "on the process that takes no spare work";
}

TEST(CompilePool, WhatIsInTheFolderWaitsForNoProcess) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const auto compiled = StartOn(workers)->Wait(TinyProblem(), kGood, kArch);
  const auto pool = StartOn(workers, 1, absl::Seconds(100));
  pool->Submit(TinyProblem(), kBad, kArch);
  pool->Submit(TinyProblem(), kGood, kArch);
  const auto found = pool->Wait(TinyProblem(), kGood, kArch);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->outcome, Outcome::kOk);
  EXPECT_EQ(found->facts, compiled->facts);
  EXPECT_EQ(found->cubin_sha256, compiled->cubin_sha256);
}

TEST(CompilePool, WhatWasRejectedIsRejectedFromTheFolderToo) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSpills));
  const auto compiled = StartOn(workers)->Wait(TinyProblem(), kBad, kArch);
  EXPECT_EQ(compiled->outcome, Outcome::kSpills);
  const auto found = StartOn(workers)->Wait(TinyProblem(), kBad, kArch);
  EXPECT_EQ(found->outcome, compiled->outcome);
  EXPECT_EQ(found->error, compiled->error);
}

TEST(CompilePool, OfSeveralTheFirstThatIsCompiledIsWaitedFor) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const auto pool = StartOn(workers, 2, absl::Seconds(100));
  EXPECT_EQ(pool->WaitForAny(TinyProblem(), {{kBad, kGood, kOther}}, kArch), 1u);
  const auto another = StartOn(workers, 1, absl::Seconds(100));
  EXPECT_EQ(another->WaitForAny(TinyProblem(), {{kBad, kGood}}, kArch), 1u)
      << "from the folder, while the one process is busy";
}

// Workers that say their process number in the file "pid", and fail to start once for each line of
// the file "failures".
WorkerCommand Unreliable(const FakeWorkers& workers) {
  const std::string pid = workers.folder.File("pid");
  const std::string failures = workers.folder.File("failures");
  return {"/bin/sh", "-c",
          "if [ -s " + failures + " ]; then sed -i 1d " + failures +
              "; echo out of order; exit 1; " + "fi; echo $$ > " + pid + "; exec " +
              workers.command()[0] + " " + workers.command()[1]};
}

std::unique_ptr<CompilePool> StartUnreliable(const FakeWorkers& workers) {
  return CompilePool::Start({.worker = Unreliable(workers), .cubin_folder = workers.cubins()})
      .value();
}

// Ends the worker that started last, and leaves it to its parent.
void EndWorker(const FakeWorkers& workers) {
  pid_t pid = 0;
  ASSERT_TRUE(std::ifstream(workers.folder.File("pid")) >> pid);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  siginfo_t end;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT), 0);
}

TEST(CompilePool, AWorkerThatDiedWhileIdleIsReplacedAndBlamesNoCandidate) {
  const FakeWorkers workers;
  const auto pool = StartUnreliable(workers);
  EndWorker(workers);
  const auto result = pool->Wait(TinyProblem(), kGood, kArch);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome, Outcome::kOk) << result->error;
}

TEST(CompilePool, AWorkerThatCannotStartOnceIsStartedAgain) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const auto pool = CompilePool::Start({.worker = Unreliable(workers),
                                        .cubin_folder = workers.cubins(),
                                        .limit = absl::Milliseconds(300)})
                        .value();
  WriteFile(workers.folder.File("failures"), "1\n2\n");
  EXPECT_EQ(pool->Wait(TinyProblem(), kBad, kArch)->outcome, Outcome::kTimeout);
  const auto result = pool->Wait(TinyProblem(), kGood, kArch);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome, Outcome::kOk) << result->error;
}

TEST(CompilePool, WorkersThatCannotStartAnyMoreAreSaidToBe) {
  const FakeWorkers workers;
  const auto pool = StartUnreliable(workers);
  EndWorker(workers);
  WriteFile(workers.folder.File("failures"), "1\n2\n3\n");
  const absl::Status end = pool->Wait(TinyProblem(), kGood, kArch).status();
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  EXPECT_THAT(std::string(end.message()), HasSubstr("cannot start a process that compiles: "));
  EXPECT_THAT(std::string(end.message()), HasSubstr("out of order"));
}

TEST(CompilePool, ItsEndDoesNotWaitForWhatRuns) {
  const FakeWorkers workers(BadIs(FakeFaultKind::kSlowCompile, -1));
  const absl::Time start = absl::Now();
  {
    const auto pool = StartOn(workers, 1, absl::Seconds(100));
    pool->Submit(TinyProblem(), kBad, kArch);
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST(CompilePool, WorkersThatCannotWorkAreAnErrorAtTheStart) {
  const auto none = CompilePool::Start({.worker = {"/no/such/worker"}, .cubin_folder = "/tmp"});
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("/no/such/worker"));
  const auto silent = CompilePool::Start({.worker = {"/bin/false"}, .cubin_folder = "/tmp"});
  EXPECT_THAT(std::string(silent.status().message()), HasSubstr("exited with code 1"));
  const FakeWorkers workers;
  WriteFile(workers.folder.File("file"), "");
  const auto folderless = CompilePool::Start(
      {.worker = workers.command(), .cubin_folder = workers.folder.File("file/cubins")});
  EXPECT_THAT(std::string(folderless.status().message()), HasSubstr("file/cubins"));
}

}  // namespace
}  // namespace moetune
