// FakeScript: how the fictional GPUs and their compiler behave, as plain data that also fits a
// small text file, so that a child process can be given the same script.
#ifndef MOETUNE_TESTS_TESTING_FAKE_SCRIPT_H_
#define MOETUNE_TESTS_TESTING_FAKE_SCRIPT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device_spec.h"
#include "kernels/family.h"
#include "tests/testing/fictional_devices.h"

namespace moetune {

// The candidates that a line speaks of: those of `family` (empty: any) whose config has every
// parameter in `config` with the same value.
struct FakeMatch {
  std::string family;
  Config config;

  bool Matches(const Candidate& candidate) const;
  bool operator==(const FakeMatch&) const = default;
};

enum class FakeFaultKind : uint8_t {
  kCompileError,
  kSlowCompile,  // takes `seconds` longer
  kSpills,       // in the compiler's log
  kSerialised,   // wgmma, in the compiler's log
  kLoadError,
  kLaunchError,
  kIllegalAddress,  // at the next synchronisation, and from then on at every call
  kHang,            // the next synchronisation takes `seconds`
  kCrash,           // the launch aborts the process
  kWrongOutput,     // one element is far off
  kWrongBit,        // one element is off by its last bit
  kLostRow,         // the last row is not written
  kOverrun,         // one byte is written past y's end
};

struct FakeFault {
  FakeFaultKind kind;
  FakeMatch match;
  double seconds = 0;  // negative: for ever

  bool operator==(const FakeFault&) const = default;
};

struct FakeTime {
  double us = 0;
  FakeMatch match;

  bool operator==(const FakeTime&) const = default;
};

struct FakeScript {
  std::vector<DeviceSpec> devices = {Fiction100(), Fiction200()};
  std::vector<FakeTime> times;  // the first match; without one, the cost model's estimate
  std::vector<FakeFault> faults;
  double noise = 0;  // relative standard deviation of times
  uint64_t seed = 1;
  int nvrtc_major = 13;
  int nvrtc_minor = 0;

  // The first fault of this kind for `candidate`; null when there is none.
  const FakeFault* Find(FakeFaultKind kind, const Candidate& candidate) const;

  bool operator==(const FakeScript&) const = default;
};

// One thing per line: "device NAME", "time US FAMILY CONFIG", "fault KIND SECONDS FAMILY CONFIG",
// "noise N", "seed N", "nvrtc MAJOR MINOR"; FAMILY '*' is any, CONFIG may be missing. Devices are
// those of fictional_devices.h; a script that names none has the two default ones.
std::string WriteFakeScript(const FakeScript& script);
absl::StatusOr<FakeScript> ReadFakeScript(std::string_view text);

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FAKE_SCRIPT_H_
