#include "tuner/rankings.h"

#include "tuner/search_strategy.h"

namespace moetune {

const std::vector<Candidate>& Rankings::Of(const Problem& problem, const DeviceSpec& device) {
  const std::pair<std::string, std::string> key = {ProblemKey(problem), device.name};
  {
    MutexLock lock(mutex_);
    const auto found = ranked_.find(key);
    if (found != ranked_.end()) return found->second;
  }
  // Unlocked, so that nobody waits for another problem's; who asks for this one meanwhile finds the
  // same.
  std::vector<Candidate> ranked = RankCandidates(problem, device);
  MutexLock lock(mutex_);
  for (Candidate& candidate : ranked) candidate.config = *configs_.insert(candidate.config).first;
  return ranked_.try_emplace(key, std::move(ranked)).first->second;
}

}  // namespace moetune
