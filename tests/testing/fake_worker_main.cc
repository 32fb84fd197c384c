// fake_worker SCRIPT: a worker on fictional GPUs, which behave as the script says (fake_script.h).
#include <iostream>

#include "tests/testing/fake_cuda.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/temp_folder.h"
#include "tuner/worker.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: fake_worker SCRIPT\n";
    return 2;
  }
  const auto script = moetune::ReadFakeScript(moetune::ReadFile(argv[1]));
  if (!script.ok()) {
    std::cerr << script.status() << "\n";
    return 2;
  }
  const moetune::FakeNvrtc nvrtc(*script);
  const moetune::FakeCuda cuda(*script);
  // Device memory is host memory here: a real flush would take most of the time of a test.
  const moetune::Policy policy = {.flush_bytes = 4096, .flush_l2_times = 0, .idle_gap = 0};
  return moetune::RunWorker({.driver = &cuda.api(), .nvrtc = &nvrtc.api(), .policy = policy});
}
