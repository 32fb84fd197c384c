#include "runtime/nvml.h"

#include <dlfcn.h>

#include <array>
#include <optional>
#include <string_view>

#include "runtime/driver.h"

namespace moetune {
namespace {

// The part of NVML's interface that is used here, stable since its version 2.
struct NvmlDevice;
constexpr int kSmClock = 1;      // NVML_CLOCK_SM
constexpr int kMemoryClock = 2;  // NVML_CLOCK_MEM
constexpr int kGpuSensor = 0;    // NVML_TEMPERATURE_GPU

// nvmlClocksThrottleReason...
struct Reason {
  uint32_t bit;
  std::string_view name;
};
constexpr Reason kReasons[] = {{0x04, "power_cap"}, {0x08, "slowdown"}, {0x10, "sync_boost"},
                               {0x20, "hot"},       {0x40, "very_hot"}, {0x80, "power_brake"}};

struct Functions {
  int (*init)();
  int (*driver_version)(char* text, unsigned size);
  int (*device_at)(const char* pci_address, NvmlDevice** device);
  int (*clock_mhz)(NvmlDevice* device, int clock, unsigned* mhz);
  int (*power_milliwatts)(NvmlDevice* device, unsigned* milliwatts);
  int (*temperature_c)(NvmlDevice* device, int sensor, unsigned* degrees);
  int (*throttling)(NvmlDevice* device, unsigned long long* reasons);  // may be missing
};

template <typename Function>
bool Find(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  return function != nullptr;
}

std::optional<Functions> OpenLibrary() {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  Functions f;
  const bool complete = Find(library, "nvmlInit_v2", f.init) &&
                        Find(library, "nvmlSystemGetDriverVersion", f.driver_version) &&
                        Find(library, "nvmlDeviceGetHandleByPciBusId_v2", f.device_at) &&
                        Find(library, "nvmlDeviceGetClockInfo", f.clock_mhz) &&
                        Find(library, "nvmlDeviceGetPowerUsage", f.power_milliwatts) &&
                        Find(library, "nvmlDeviceGetTemperature", f.temperature_c);
  if (!complete || f.init() != 0) return std::nullopt;
  // Its newer name comes first, in case the older one is dropped.
  if (!Find(library, "nvmlDeviceGetCurrentClocksEventReasons", f.throttling)) {
    Find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", f.throttling);
  }
  return f;  // the library stays open as long as the process
}

const std::optional<Functions>& Nvml() {
  static const std::optional<Functions> functions = OpenLibrary();
  return functions;
}

// NVML numbers every GPU of the machine, CUDA those that a process may see, in an order of its own:
// the PCI address is what both agree on.
NvmlDevice* FindDevice(int ordinal) {
  std::array<char, 32> address = {};
  NvmlDevice* device = nullptr;
  absl::StatusOr<const DriverApi*> driver = OpenDriver();
  if (!driver.ok()) return nullptr;
  if ((*driver)->device_pci_address(ordinal, address.data(), address.size()) != 0) return nullptr;
  if (Nvml()->device_at(address.data(), &device) != 0) return nullptr;
  return device;
}

}  // namespace

std::string DriverVersionText() {
  std::array<char, 96> text = {};
  if (!Nvml() || Nvml()->driver_version(text.data(), text.size()) != 0) return {};
  return text.data();
}

Clocks ReadClocks(int ordinal) {
  Clocks clocks;
  NvmlDevice* device = Nvml() ? FindDevice(ordinal) : nullptr;
  if (device == nullptr) return clocks;
  unsigned value = 0;
  if (Nvml()->clock_mhz(device, kSmClock, &value) == 0) clocks.sm_mhz = static_cast<int>(value);
  if (Nvml()->clock_mhz(device, kMemoryClock, &value) == 0) {
    clocks.memory_mhz = static_cast<int>(value);
  }
  if (Nvml()->power_milliwatts(device, &value) == 0) clocks.power_watts = value / 1e3;
  if (Nvml()->temperature_c(device, kGpuSensor, &value) == 0) {
    clocks.temperature_c = static_cast<int>(value);
  }
  return clocks;
}

uint32_t ReadThrottling(int ordinal) {
  NvmlDevice* device = Nvml() ? FindDevice(ordinal) : nullptr;
  unsigned long long reasons = 0;
  if (device == nullptr || Nvml()->throttling == nullptr) return 0;
  if (Nvml()->throttling(device, &reasons) != 0) return 0;
  uint32_t known = 0;
  for (const Reason& reason : kReasons) known |= static_cast<uint32_t>(reasons) & reason.bit;
  return known;
}

std::string ThrottleText(uint32_t reasons) {
  std::string text;
  for (const Reason& reason : kReasons) {
    if ((reasons & reason.bit) == 0) continue;
    if (!text.empty()) text += '+';
    text += reason.name;
  }
  return text;
}

}  // namespace moetune
