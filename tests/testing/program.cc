#include "tests/testing/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/testing/eventually.h"

namespace moetune {

Program::Program(std::vector<std::string> command) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  constexpr int kNewFile = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, folder_.File("out").c_str(), kNewFile,
                                   0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, folder_.File("err").c_str(), kNewFile,
                                   0600);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  if (posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) {
    ended_ = true;
    exit_code_ = 127;
  }
  posix_spawn_file_actions_destroy(&actions);
}

Program::~Program() {
  if (ended_) return;
  Signal(SIGKILL);
  Wait();
}

std::string Program::WaitForLine() {
  const auto line = [this] {
    const std::string text = out();
    return text.substr(0, text.find('\n') == std::string::npos ? 0 : text.find('\n'));
  };
  const auto gone = [this] {
    siginfo_t info = {};
    return ended_ ||
           (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == pid_);
  };
  Eventually([&] { return !line().empty() || gone(); });
  return line();
}

std::string Program::WaitForAddress() {
  const std::string line = WaitForLine(), listening = "listening on ";
  return line.starts_with(listening) ? line.substr(listening.size()) : "";
}

void Program::Signal(int number) { kill(pid_, number); }

int Program::Wait() {
  if (!ended_) {
    int status = 0;
    waitpid(pid_, &status, 0);
    ended_ = true;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

}  // namespace moetune
