// Rankings: the candidates of each problem in the cost model's order, found once for all who ask.
// Finding them goes through a family's whole space, some ten thousand configs.
#ifndef MOETUNE_TUNER_RANKINGS_H_
#define MOETUNE_TUNER_RANKINGS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "db/mutex.h"
#include "kernels/family.h"

namespace moetune {

// Thread-safe.
class Rankings {
 public:
  // RankCandidates(problem, device). Valid as long as this object.
  const std::vector<Candidate>& Of(const Problem& problem, const DeviceSpec& device);

 private:
  Mutex mutex_;
  // By problem and device. Their configs are shared: hundreds of problems have the same thousand.
  std::map<std::pair<std::string, std::string>, std::vector<Candidate>> ranked_
      ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<Config> configs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_RANKINGS_H_
