// Reads the clocks of some SMs: a reading before and one after a launch tell at which SM clock it
// ran. No kernel of a family; the tuner launches it beside its samples (runtime/clock_probe.h).
#ifndef MOETUNE_KERNELS_DEVICE_CLOCK_PROBE_CUH_
#define MOETUNE_KERNELS_DEVICE_CLOCK_PROBE_CUH_

struct ClockReading {
  unsigned long long cycles;       // of the SM
  unsigned long long nanoseconds;  // of the device's timer
  unsigned long long sm;
};

struct ClockProbeArgs {
  ClockReading* readings;  // one for each CTA
};

// Where a CTA runs is not ours to say: a host that launches several finds the same SM in two
// readings.
extern "C" __global__ void moe_kernel(const ClockProbeArgs args) {
  ClockReading reading;
  unsigned sm;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(reading.nanoseconds));
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(reading.cycles));
  reading.sm = sm;
  args.readings[blockIdx.x] = reading;
}

#endif  // MOETUNE_KERNELS_DEVICE_CLOCK_PROBE_CUH_
