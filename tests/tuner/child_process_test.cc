#include "tuner/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "absl/time/clock.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

ChildProcess Shell(const std::string& script) {
  auto child = ChildProcess::Start({"/bin/sh", "-c", script});
  EXPECT_TRUE(child.ok()) << child.status();
  return *std::move(child);
}

absl::Time In(absl::Duration duration) { return absl::Now() + duration; }

std::string EndOf(ChildProcess& child) {
  const auto message = child.Receive(In(absl::Seconds(10)));
  EXPECT_TRUE(absl::IsUnavailable(message.status())) << message.status();
  return std::string(message.status().message());
}

// cat echoes each frame over the socket that is its standard input.
TEST(ChildProcess, TalksInFramesOverItsStandardInput) {
  ChildProcess child = Shell("exec cat >&0");
  for (const std::string message : {"one", "two", ""}) {
    ASSERT_TRUE(child.Send(message).ok());
    EXPECT_EQ(child.Receive(In(absl::Seconds(10))).value(), message);
  }
}

TEST(ChildProcess, AProgramThatIsNotThereIsAnErrorWithItsName) {
  const auto child = ChildProcess::Start({"/no/such/program"});
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("/no/such/program"));
}

TEST(ChildProcess, WithoutDescriptorsItIsUnavailable) {
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto child = ChildProcess::Start({"/bin/true"});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsUnavailable(child.status())) << child.status();
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("Too many open files"));
}

TEST(ChildProcess, TheDeadlineIsKeptAndTheChildLivesOn) {
  ChildProcess child = Shell("sleep 100");
  const absl::Time start = absl::Now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(child.Receive(In(absl::Milliseconds(30))).status()));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(30));
  EXPECT_EQ(kill(child.pid(), 0), 0);
}

TEST(ChildProcess, ItsExitCodeAndLastWordsAreTold) {
  ChildProcess child = Shell("echo to stdout; echo to stderr >&2; exit 3");
  const std::string end = EndOf(child);
  EXPECT_THAT(end, HasSubstr("exited with code 3"));
  EXPECT_THAT(end, HasSubstr("to stdout"));
  EXPECT_THAT(end, HasSubstr("to stderr"));
  EXPECT_TRUE(absl::IsUnavailable(child.Send("anyone?")));
}

TEST(ChildProcess, ASignalThatEndedItIsTold) {
  ChildProcess child = Shell("kill -SEGV $$");
  EXPECT_THAT(EndOf(child), HasSubstr("signal 11 (Segmentation fault)"));
}

TEST(ChildProcess, OfManyWordsTheLastAreKept) {
  ChildProcess child = Shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
  const std::string end = EndOf(child);
  EXPECT_LT(end.size(), 3000u);
  EXPECT_THAT(end, HasSubstr("line 19999"));
}

TEST(ChildProcess, OneThatClosedItsEndButLivesOnIsEnded) {
  ChildProcess child = Shell("exec 0<&-; sleep 100");
  const pid_t pid = child.pid();
  EXPECT_THAT(EndOf(child), HasSubstr("signal 9"));
  EXPECT_NE(kill(pid, 0), 0);
}

TEST(ChildProcess, KillAndDestructionLeaveNoProcessBehind) {
  pid_t killed = 0, destroyed = 0;
  {
    ChildProcess child = Shell("sleep 100");
    ChildProcess other = Shell("sleep 100");
    killed = child.pid();
    destroyed = other.pid();
    child.Kill();
    child.Kill();
    EXPECT_EQ(child.pid(), 0);
    EXPECT_NE(kill(killed, 0), 0);
  }
  EXPECT_NE(kill(destroyed, 0), 0);
}

}  // namespace
}  // namespace moetune
