// Waiting in tests for what another thread or process does.
#ifndef MOETUNE_TESTS_TESTING_EVENTUALLY_H_
#define MOETUNE_TESTS_TESTING_EVENTUALLY_H_

#include <chrono>
#include <functional>
#include <thread>

namespace moetune {

// Whether `condition` came true within `limit`; returns as soon as it does.
inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_EVENTUALLY_H_
