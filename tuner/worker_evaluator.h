// WorkerEvaluator: measures on a GPU without ever touching it. A pool of child processes compiles,
// one child times; whatever a candidate does to the child costs that candidate alone.
#ifndef MOETUNE_TUNER_WORKER_EVALUATOR_H_
#define MOETUNE_TUNER_WORKER_EVALUATOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tuner/compile_pool.h"
#include "tuner/evaluator.h"
#include "tuner/worker_client.h"

namespace moetune {

struct WorkerOptions {
  WorkerCommand worker;
  std::string cubin_folder;
  int device = 0;
  int compile_processes = 1;
  // Of another evaluator, which they are shared with.
  std::shared_ptr<CompilePool> pool;  // instead of processes of its own
  std::shared_ptr<Rankings> rankings = std::make_shared<Rankings>();
  uint64_t seed = 1;
  Histograms histograms;
  bool as_peers = false;  // times under AsPeersWereTimed
  absl::Duration compile_limit = absl::Seconds(60);

  // Without a sign of life for so long the timing child is killed. Between two signs lies at most a
  // set-up or a verification: seconds, at the largest sizes.
  absl::Duration watchdog = absl::Seconds(30);
};

// The environment of each family's measurements.
std::map<std::string_view, Environment> EnvironmentsOf(std::string_view driver,
                                                       std::string_view nvrtc,
                                                       std::string_view policy);

// The trial of a candidate, named in full, as far as its compile tells.
Trial CompiledTrial(const Evaluator& evaluator, const Problem& problem, const Candidate& candidate,
                    Effort effort, uint64_t seed, const CompileResult& compiled);

class WorkerEvaluator : public Evaluator {
 public:
  // FailedPrecondition when this machine has no GPU, driver or NVRTC.
  static absl::StatusOr<std::unique_ptr<WorkerEvaluator>> Start(WorkerOptions options);

  const DeviceSpec& device() const override { return hello_.device; }
  Environment EnvironmentOf(const Family& family) const override {
    return environments_.at(family.name);
  }
  void Prepare(const Problem& problem, std::span<const Candidate> candidates) override;
  void Foresee(const Problem& problem, std::span<const Candidate> candidates) override;
  size_t WaitForAny(const Problem& problem, std::span<const Candidate> candidates) override;
  absl::StatusOr<std::vector<Trial>> Measure(const Problem& problem,
                                             std::span<const Candidate> candidates,
                                             Effort effort) override;

  const std::shared_ptr<CompilePool>& pool() const { return pool_; }

  // What the rows will lack on this machine, and why; a sentence each.
  const std::vector<std::string>& notes() const { return hello_.notes; }

  // Where the time went since the start. What is left of the total went into the caller's own work:
  // search, store, and having no more to do.
  struct Usage {
    absl::Duration starting;              // of the processes, before anything was asked
    absl::Duration measuring;             // in the timing child
    absl::Duration waiting_for_compiles;  // with nothing to time
    absl::Duration total;
    int restarts = 0;  // of the timing child
  };
  Usage usage() const;

 private:
  // One request to the timing child: the trials that are still to be made of a Measure.
  struct Request {
    const Problem& problem;
    std::vector<Candidate> candidates;
    std::vector<size_t> places;  // of the candidates in `trials`
    std::vector<Candidate> bases;
    Effort effort;
    std::vector<Trial>& trials;
    std::vector<bool>& done;
  };

  explicit WorkerEvaluator(WorkerOptions options)
      : Evaluator(options.rankings), options_(std::move(options)) {}

  absl::Status StartChild();
  std::vector<Candidate> LikelyBases(const Problem& problem,
                                     std::span<const Candidate> candidates) const;
  absl::StatusOr<std::vector<Candidate>> FindBases(const Problem& problem,
                                                   std::span<const Candidate> candidates);
  absl::StatusOr<bool> Serve(Request& request);
  absl::Status Follow(Request& request, Step& step);
  void Finish(Request& request, size_t candidate, Trial measured);
  bool Blame(Request& request, Step step, const absl::Status& end);

  const WorkerOptions options_;
  WorkerHello
      hello_;  // of the first child; other threads ask for the device while one is restarted
  std::map<std::string_view, Environment> environments_;
  std::string arch_;
  std::shared_ptr<CompilePool> pool_;
  std::optional<WorkerClient> child_;
  std::set<std::string> failed_;  // kernels that may not be bases any more
  bool sets_up_ = true;           // a trial came since a set-up last outlasted the watchdog
  absl::Time started_;
  Usage usage_;
};

}  // namespace moetune

#endif  // MOETUNE_TUNER_WORKER_EVALUATOR_H_
