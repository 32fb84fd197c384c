#include "cli/options.h"

#include <boost/program_options.hpp>
#include <deque>
#include <functional>
#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

namespace po = boost::program_options;

constexpr unsigned kLineLength = 100;

// No guessing: what a prefix means today may be another option tomorrow.
constexpr int kStyle = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

constexpr char kWords[] = "words";  // the name that Boost needs for what has none

}  // namespace

class Options::Impl {
 public:
  Impl(std::string_view usage, std::string_view summary)
      : usage_(usage), summary_(summary), visible_("options", kLineLength) {
    Flag("help", &help_, "show this");
  }

  void Add(std::string_view name, const po::value_semantic* semantic,
           std::string_view description) {
    names_.emplace_back(name);
    visible_.add_options()(names_.back().c_str(), semantic, std::string(description).c_str());
  }

  void Flag(std::string_view name, bool* target, std::string_view description) {
    Add(name, po::bool_switch(target), description);
  }

  void Integer(std::string_view name, std::string_view value, int64_t* target, int64_t min,
               int64_t max, std::string_view description) {
    auto* semantic = po::value<std::string>()->value_name(std::string(value));
    semantic->notifier([=, this, name = std::string(name)](const std::string& text) {
      const absl::StatusOr<int64_t> parsed =
          ParseInteger(absl::StrFormat("--%s", name), text, min, max);
      if (parsed.ok()) {
        *target = *parsed;
      } else {
        value_error_.Update(parsed.status());
      }
    });
    Add(name, semantic, description);
  }

  void Words(std::string_view value, std::vector<std::string>* target, int max,
             std::string_view description) {
    hidden_.add_options()(kWords, po::value<std::vector<std::string>>(target));
    positions_.add(kWords, max);
    words_help_ = absl::StrFormat("\n%s: %s\n", value, description);
  }

  absl::StatusOr<bool> Parse(std::span<const std::string> arguments) {
    po::options_description all;
    all.add(visible_).add(hidden_);
    try {
      po::variables_map values;
      po::store(
          po::command_line_parser(std::vector<std::string>(arguments.begin(), arguments.end()))
              .options(all)
              .positional(positions_)
              .style(kStyle)
              .run(),
          values);
      po::notify(values);
    } catch (const po::unknown_option& error) {
      return Unknown(error.get_option_name());
    } catch (const po::too_many_positional_options_error&) {
      return UsageError(absl::StrFormat("too many words; usage: %s", usage_));
    } catch (const po::error& error) {
      return UsageError(std::string_view(error.what()));
    }
    if (help_) {
      std::cout << "usage: " << usage_ << "\n\n"
                << summary_ << "\n"
                << words_help_ << "\n"
                << visible_ << std::flush;
      return false;
    }
    RETURN_IF_ERROR(UsageError(value_error_));
    return true;
  }

 private:
  absl::Status Unknown(const std::string& name) const {
    std::deque<std::string> dashed;
    std::vector<std::string_view> known;
    for (const std::string& each : names_) known.push_back(dashed.emplace_back("--" + each));
    return UsageError(UnknownName("option", name, known));
  }

  const std::string usage_;
  const std::string summary_;
  std::deque<std::string> names_;
  po::options_description visible_;
  po::options_description hidden_;
  po::positional_options_description positions_;
  std::string words_help_;
  bool help_ = false;
  absl::Status value_error_;  // of the first value that does not parse
};

Options::Options(std::string_view usage, std::string_view summary)
    : impl_(std::make_unique<Impl>(usage, summary)) {}
Options::~Options() = default;

void Options::Text(std::string_view name, std::string_view value, std::string* target,
                   std::string_view description) {
  impl_->Add(name, po::value<std::string>(target)->value_name(std::string(value)), description);
}

void Options::Texts(std::string_view name, std::string_view value, std::vector<std::string>* target,
                    std::string_view description) {
  impl_->Add(
      name,
      po::value<std::vector<std::string>>(target)->value_name(std::string(value))->composing(),
      description);
}

void Options::Integer(std::string_view name, std::string_view value, int64_t* target, int64_t min,
                      int64_t max, std::string_view description) {
  impl_->Integer(name, value, target, min, max, description);
}

void Options::Flag(std::string_view name, bool* target, std::string_view description) {
  impl_->Flag(name, target, description);
}

void Options::Words(std::string_view value, std::vector<std::string>* target, int max,
                    std::string_view description) {
  impl_->Words(value, target, max, description);
}

absl::StatusOr<bool> Options::Parse(std::span<const std::string> arguments) {
  return impl_->Parse(arguments);
}

}  // namespace moetune
