// SilentObserver: for sweeps whose results alone count.
#ifndef MOETUNE_TESTS_TESTING_SILENT_OBSERVER_H_
#define MOETUNE_TESTS_TESTING_SILENT_OBSERVER_H_

#include "tuner/sweep.h"

namespace moetune {

class SilentObserver : public SweepObserver {
 public:
  void OnProblem(size_t, size_t, const Problem&, size_t) override {}
  void OnTrial(const Measurement&, bool) override {}
  void OnResult(const Problem&, const absl::StatusOr<Winner>&, bool) override {}
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_SILENT_OBSERVER_H_
