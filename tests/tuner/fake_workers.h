// Workers on fictional GPUs for the tests of a folder.
#ifndef MOETUNE_TESTS_TUNER_FAKE_WORKERS_H_
#define MOETUNE_TESTS_TUNER_FAKE_WORKERS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/registry.h"
#include "tests/testing/fake_script.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"
#include "tuner/worker_client.h"

namespace moetune {

// A folder with a script, for workers that follow it.
struct FakeWorkers {
  explicit FakeWorkers(const FakeScript& script = {}) {
    WriteFile(folder.File("script"), WriteFakeScript(script));
  }

  WorkerCommand command() const { return {MOETUNE_FAKE_WORKER, folder.File("script")}; }
  std::string cubins() const { return folder.File("cubins"); }

  TempFolder folder;
};

// Small enough for a host to launch hundreds of times in a second.
inline Problem TinyProblem(int64_t tokens = 12) {
  Problem problem = ProblemOf("forward/bf16/plain/e4/t12x2/n40/k24/softmax");
  problem.tokens = tokens;
  problem.rows = 2 * tokens;
  return problem;
}

inline Candidate ReferenceOf(std::string_view config) {
  return {FindFamily("reference").value(), ParseConfig(config).value()};
}

// Legal for every problem.
inline const Candidate kGood = ReferenceOf("block_k=16 block_m=32 block_n=32 threads=64");
inline const Candidate kOther = ReferenceOf("block_k=16 block_m=64 block_n=64 threads=128");
inline const Candidate kBad = ReferenceOf("block_k=32 block_m=16 block_n=64 threads=64");

// A script in which kBad has this fault.
inline FakeScript BadIs(FakeFaultKind kind, double seconds = 0) {
  FakeScript script;
  script.faults.push_back({kind, {"reference", kBad.config}, seconds});
  return script;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TUNER_FAKE_WORKERS_H_
