// Options: what a command can be told. Each option writes into a variable of the command, whose
// value before Parse is the default.
#ifndef MOETUNE_CLI_OPTIONS_H_
#define MOETUNE_CLI_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace moetune {

class Options {
 public:
  // Both are shown by --help: "moetune list [--db FILE]", and a sentence or two.
  Options(std::string_view usage, std::string_view summary);
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  // Targets are borrowed until Parse has returned. `value` names the value in the help: FILE.
  void Text(std::string_view name, std::string_view value, std::string* target,
            std::string_view description);
  void Texts(std::string_view name, std::string_view value, std::vector<std::string>* target,
             std::string_view description);  // may be given several times
  void Integer(std::string_view name, std::string_view value, int64_t* target, int64_t min,
               int64_t max, std::string_view description);
  void Flag(std::string_view name, bool* target, std::string_view description);

  // Words that stand without an option, at most `max` (-1: any number).
  void Words(std::string_view value, std::vector<std::string>* target, int max,
             std::string_view description);

  // True: go on. False: --help was asked for and has been printed. A UsageError names the option.
  absl::StatusOr<bool> Parse(std::span<const std::string> arguments);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moetune

#endif  // MOETUNE_CLI_OPTIONS_H_
