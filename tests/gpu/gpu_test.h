// What the programs of this folder stand on: the first GPU of the machine with a workload on it,
// and what the environment asks of them.
#ifndef MOETUNE_TESTS_GPU_GPU_TEST_H_
#define MOETUNE_TESTS_GPU_GPU_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/status_macros.h"
#include "tests/testing/temp_folder.h"
#include "tuner/output_check.h"
#include "tuner/workload.h"

namespace moetune {

inline std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

inline int Variable(const char* name, int otherwise) {
  const std::string text = Variable(name);
  return text.empty() ? otherwise : std::stoi(text);
}

// New for every run, and told so that a failure can be repeated with $MOETUNE_SEED.
inline uint64_t Seed() {
  static const uint64_t seed = [] {
    const std::string given = Variable("MOETUNE_SEED");
    const uint64_t made = given.empty() ? std::random_device{}() : std::stoull(given);
    std::cout << "MOETUNE_SEED=" << made << std::endl;
    return made;
  }();
  return seed;
}

// Skips where there is no GPU, with the reason.
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto driver = OpenDriver();
    if (!driver.ok()) GTEST_SKIP() << driver.status().message();
    driver_ = *driver;
    context_ = std::make_unique<Context>(Context::Acquire(*driver_, 0).value());
    stream_ = std::make_unique<Stream>(Stream::Create(*driver_).value());
    workload_ = std::make_unique<Workload>(*context_, stream_->get());
  }

  // Of compiled kernels: $MOETUNE_CUBINS, or a folder that ends with the test.
  std::string CubinFolderOfTest() const {
    const std::string given = Variable("MOETUNE_CUBINS");
    return given.empty() ? folder_.path() : given;
  }

  // The output with its guards.
  absl::StatusOr<std::vector<uint8_t>> ReadOutput() {
    std::vector<uint8_t> output;
    RETURN_IF_ERROR(workload_->ReadOutput([&](std::span<const uint8_t> piece) {
      output.insert(output.end(), piece.begin(), piece.end());
      return true;
    }));
    return output;
  }

  const DriverApi* driver_ = nullptr;
  std::unique_ptr<Context> context_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Workload> workload_;
  TempFolder folder_;
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_GPU_GPU_TEST_H_
