#include "tuner/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

extern char** environ;

namespace moetune {
namespace {

constexpr size_t kLastWordsBytes = 2048;

// A child that closed its end is about to be gone; one that a broken driver holds is killed after
// this.
constexpr absl::Duration kGrace = absl::Seconds(2);

void Close(int& descriptor) {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrFormat("was ended by signal %d (%s)", WTERMSIG(status),
                           strsignal(WTERMSIG(status)));
  }
  return absl::StrFormat("exited with code %d", WEXITSTATUS(status));
}

int PollMilliseconds(absl::Time deadline) {
  const absl::Duration left = deadline - absl::Now();
  // Rounded up, so that a wait never ends before its deadline.
  return static_cast<int>(std::clamp<int64_t>(
      absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))), 0, 1'000'000));
}

// Not by ErrnoToStatus: to a sweep ResourceExhausted is a problem that does not fit the device.
absl::Status CannotStart(std::string_view what, int error) {
  return absl::UnavailableError(absl::StrFormat("%s: %s", what, strerror(error)));
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& command) {
  std::array<int, 2> sockets = {-1, -1};
  std::array<int, 2> printed = {-1, -1};
  ChildProcess child;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0 ||
      pipe2(printed.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    Close(sockets[0]);
    Close(sockets[1]);
    return CannotStart("cannot make the pipes of a child process", error);
  }
  child.socket_ = sockets[0];
  child.printed_ = printed[0];
  fcntl(child.printed_, F_SETFL, O_NONBLOCK);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, sockets[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, printed[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, printed[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int error =
      posix_spawn(&child.pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  Close(sockets[1]);
  Close(printed[1]);
  if (error != 0) {
    child.pid_ = 0;
    return CannotStart(absl::StrFormat("cannot start %s", command[0]), error);
  }
  return child;
}

ChildProcess::~ChildProcess() {
  Kill();
  Close(socket_);
  Close(printed_);
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(socket_, other.socket_);
  std::swap(printed_, other.printed_);
  std::swap(frames_, other.frames_);
  std::swap(last_words_, other.last_words_);
  std::swap(how_it_ended_, other.how_it_ended_);
  return *this;
}

absl::Status ChildProcess::Send(std::string_view message) {
  if (pid_ != 0 && WriteFrame(socket_, message).ok()) return absl::OkStatus();
  return Ended();
}

absl::StatusOr<std::string> ChildProcess::Receive(absl::Time deadline) {
  while (true) {
    absl::StatusOr<std::optional<std::string>> message = frames_.Next();
    if (!message.ok()) return message.status();
    if (message->has_value()) return **std::move(message);
    if (pid_ == 0) return Ended();

    std::array<pollfd, 2> ready = {{{socket_, POLLIN, 0}, {printed_, POLLIN, 0}}};
    const int count = poll(ready.data(), ready.size(), PollMilliseconds(deadline));
    if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot wait for a child");
    if (count == 0 && absl::Now() >= deadline) {
      return absl::DeadlineExceededError("the child process has not answered in time");
    }
    if (ready[1].revents != 0) ReadPrinted();
    if (ready[0].revents != 0 && !ReadSocket()) return Ended();
  }
}

bool ChildProcess::ReadSocket() {
  std::array<char, 65536> bytes;
  const ssize_t count = recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  frames_.Append({bytes.data(), static_cast<size_t>(count)});
  return count > 0;
}

void ChildProcess::ReadPrinted() {
  std::array<char, 4096> bytes;
  ssize_t count = 0;
  while ((count = read(printed_, bytes.data(), bytes.size())) > 0) {
    last_words_.append(bytes.data(), static_cast<size_t>(count));
    if (last_words_.size() > kLastWordsBytes) {
      last_words_.erase(0, last_words_.size() - kLastWordsBytes);
    }
  }
  // At its end the pipe would be ready for ever: a negative descriptor is one that poll leaves out.
  if (count == 0) Close(printed_);
}

absl::Status ChildProcess::Ended() {
  for (const absl::Time end = absl::Now() + kGrace; pid_ != 0 && absl::Now() < end;) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      how_it_ended_ = DescribeEnd(status);
      pid_ = 0;
    } else {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
  Kill();
  if (printed_ >= 0) ReadPrinted();
  const std::string words(absl::StripAsciiWhitespace(last_words_));
  return absl::UnavailableError(absl::StrFormat("the child process %s%s", how_it_ended_,
                                                words.empty() ? "" : "; it said: " + words));
}

void ChildProcess::Kill() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  how_it_ended_ = DescribeEnd(status);
  pid_ = 0;
}

}  // namespace moetune
