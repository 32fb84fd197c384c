// Programs run by tests.
#ifndef MOETUNE_TESTS_TESTING_PROGRAM_H_
#define MOETUNE_TESTS_TESTING_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/testing/temp_folder.h"

namespace moetune {

// A running program, its output kept in files. Killed when this goes, if it still runs.
class Program {
 public:
  explicit Program(std::vector<std::string> command);  // the path of the program first
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The first line of its output; empty if it ends or ten seconds pass before there is one.
  std::string WaitForLine();
  // Of a server: the address in that line, "listening on ADDRESS"; empty if it says anything else.
  std::string WaitForAddress();

  void Signal(int number);
  int Wait();  // its exit code, or 128 + the number of the signal that ended it

  pid_t pid() const { return pid_; }
  std::string out() const { return ReadFile(folder_.File("out")); }
  std::string err() const { return ReadFile(folder_.File("err")); }

 private:
  TempFolder folder_;
  pid_t pid_ = -1;
  bool ended_ = false;
  int exit_code_ = 0;
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_PROGRAM_H_
