// ChildProcess: a program of ours that may crash, hang or be killed without harm to this process.
//
// It is exec'd, never forked alone, talks in frames over its standard input, and what it prints is
// kept for the error text.
#ifndef MOETUNE_TUNER_CHILD_PROCESS_H_
#define MOETUNE_TUNER_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tuner/frame.h"

namespace moetune {

// Not thread-safe.
class ChildProcess {
 public:
  // The program and its arguments. Unavailable when it cannot be started.
  static absl::StatusOr<ChildProcess> Start(const std::vector<std::string>& command);
  ~ChildProcess();  // kills
  ChildProcess(ChildProcess&& other) noexcept { *this = std::move(other); }
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  // Unavailable, with how it ended and what it printed last, when the child is gone.
  absl::Status Send(std::string_view message);

  // The next message. DeadlineExceeded when none came in time: the child lives on, and one may ask
  // again. Unavailable as above.
  absl::StatusOr<std::string> Receive(absl::Time deadline);

  // Ends it at once and waits for its end. Later calls do nothing.
  void Kill();

  pid_t pid() const { return pid_; }  // 0 once it has ended

 private:
  ChildProcess() = default;
  bool ReadSocket();   // false at its end
  void ReadPrinted();  // what is there
  absl::Status Ended();

  pid_t pid_ = 0;
  int socket_ = -1;
  int printed_ = -1;  // what it writes to its standard output and error
  FrameReader frames_;
  std::string last_words_;
  std::string how_it_ended_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_CHILD_PROCESS_H_
