// GPUs that do not exist: what a test needs of a device, and nothing that a real one could change.
#ifndef MOETUNE_TESTS_TESTING_FICTIONAL_DEVICES_H_
#define MOETUNE_TESTS_TESTING_FICTIONAL_DEVICES_H_

#include "kernels/device_spec.h"

namespace moetune {

// Of the newest architecture, mid-sized.
inline DeviceSpec Fiction100() {
  return {.name = "Fiction 100",
          .compute_capability = 90,
          .sm_count = 100,
          .shared_bytes_per_block = 232448,
          .shared_bytes_per_sm = 233472,
          .l2_bytes = 50'000'000,
          .memory_bytes = 100'000'000'000,
          .read_gbps = 4000,
          .write_gbps = 3000,
          .copy_gbps = 3600,
          .matrix_tflops = 700,
          .fma_tflops = 50};
}

// The same architecture with twice the SMs and rates.
inline DeviceSpec Fiction200() {
  DeviceSpec device = Fiction100();
  device.name = "Fiction 200";
  device.sm_count = 200;
  device.read_gbps *= 2;
  device.write_gbps *= 2;
  device.copy_gbps *= 2;
  device.matrix_tflops *= 2;
  device.fma_tflops *= 2;
  return device;
}

// Older and small.
inline DeviceSpec Fable75() {
  return {.name = "Fable 75",
          .compute_capability = 75,
          .sm_count = 20,
          .shared_bytes_per_block = 65536,
          .shared_bytes_per_sm = 65536,
          .l2_bytes = 4'000'000,
          .memory_bytes = 8'000'000'000,
          .read_gbps = 400,
          .write_gbps = 300,
          .copy_gbps = 360,
          .matrix_tflops = 40,
          .fma_tflops = 8};
}

// Before every family's first architecture: nothing runs on it.
inline DeviceSpec Relic30() {
  DeviceSpec device = Fable75();
  device.name = "Relic 30";
  device.compute_capability = 30;
  return device;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_FICTIONAL_DEVICES_H_
