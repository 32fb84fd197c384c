// A ConfigSource that answers what a test tells it to.
#ifndef MOETUNE_TESTS_TESTING_SCRIPTED_SOURCE_H_
#define MOETUNE_TESTS_TESTING_SCRIPTED_SOURCE_H_

#include <functional>
#include <memory>
#include <utility>

#include "runtime/config_source.h"

namespace moetune {

class ScriptedSource : public ConfigSource {
 public:
  using Answer = std::function<absl::StatusOr<Choice>(const Problem&, const DeviceSpec&)>;
  explicit ScriptedSource(Answer answer) : answer_(std::move(answer)) {}

  absl::StatusOr<Choice> Lookup(const Problem& problem, const DeviceSpec& device) override {
    return answer_(problem, device);
  }

 private:
  const Answer answer_;
};

inline std::unique_ptr<ConfigSource> SourceOf(ScriptedSource::Answer answer) {
  return std::make_unique<ScriptedSource>(std::move(answer));
}

// One winner for everything.
inline std::unique_ptr<ConfigSource> SourceOf(const Winner& winner, Tier tier = Tier::kExact) {
  return SourceOf([choice = Choice{.tier = tier, .winner = std::make_shared<const Winner>(winner)}](
                      const Problem&, const DeviceSpec&) { return choice; });
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_SCRIPTED_SOURCE_H_
