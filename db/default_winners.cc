#include "db/default_winners.h"

#include "kernels/cost_model.h"
#include "kernels/status_macros.h"

namespace moetune {

absl::StatusOr<std::shared_ptr<const Winner>> DefaultWinners::Of(const Problem& problem,
                                                                 const DeviceSpec& device) {
  constexpr size_t kMost = 4096;  // some 8 MB
  const Key key(problem, device.name);
  {
    MutexLock lock(mutex_);
    const auto at = known_.find(key);
    // Who asks may tell other facts of a device of that name.
    if (at != known_.end() && at->second->device == device) return at->second;
  }
  ASSIGN_OR_RETURN(const Candidate candidate, DefaultCandidate(problem, device));
  const std::string family(candidate.family->name);
  auto winner = std::make_shared<const Winner>(
      Winner{.problem = problem,
             .device = device,
             .family = family,
             .config = candidate.config,
             .default_family = family,
             .default_config = candidate.config,
             .reason = "the cost model's first choice; nothing was measured"});
  MutexLock lock(mutex_);
  if (known_.size() >= kMost) known_.clear();
  known_[key] = winner;
  return winner;
}

}  // namespace moetune
