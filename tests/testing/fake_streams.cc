// The driver functions of FakeCuda that are about streams and events.
#include "tests/testing/fake_machine.h"

namespace moetune::fake_cuda {

int CreateStream(CUstream_st** stream) {
  return InContext([&](FakeContext& context) {
    *stream = machine->streams.Add({.context = &context});
    return 0;
  });
}

int DestroyStream(CUstream_st* stream) {
  const std::lock_guard lock(machine->mutex);
  if (machine->streams.Remove(stream)) return 0;
  return machine->Misuse(kInvalidHandle, "a stream destroyed that does not exist");
}

int SynchronizeStream(CUstream_st* stream) {
  if (int code = InContext([&](const FakeContext& c) { return CheckStream(c, stream); })) {
    return code;
  }
  return Synchronize();
}

int ReadStreamId(CUstream_st* stream, uint64_t* id) {
  return InContext([&](const FakeContext& context) {
    *id = reinterpret_cast<uint64_t>(stream);
    return CheckStream(context, stream);
  });
}

int IsCapturing(CUstream_st* stream, bool* capturing) {
  *capturing = false;
  return InContext([&](const FakeContext& context) { return CheckStream(context, stream); });
}

int CreateEvent(CUevent_st** event) {
  return InContext([&](FakeContext& context) {
    *event = machine->events.Add({.context = &context});
    return 0;
  });
}

int DestroyEvent(CUevent_st* event) {
  const std::lock_guard lock(machine->mutex);
  if (machine->events.Remove(event)) return 0;
  return machine->Misuse(kInvalidHandle, "an event destroyed that does not exist");
}

int RecordEvent(CUevent_st* event, CUstream_st* stream) {
  return InContext([&](const FakeContext& context) {
    if (int code = CheckStream(context, stream)) return code;
    FakeEvent* known = machine->events.Find(event);
    if (known == nullptr || known->context != &context) {
      return machine->Misuse(kInvalidHandle, "an event recorded that is not one of this context");
    }
    known->recorded_us = context.now_us;
    return 0;
  });
}

int SynchronizeEvent(CUevent_st* event) {
  const int code = InContext(
      [&](const FakeContext&) { return machine->events.Find(event) ? 0 : kInvalidHandle; });
  return code != 0 ? code : Synchronize();
}

int ReadElapsed(float* ms, CUevent_st* start, CUevent_st* end) {
  return InContext([&](const FakeContext&) {
    const FakeEvent* from = machine->events.Find(start);
    const FakeEvent* to = machine->events.Find(end);
    if (from == nullptr || to == nullptr || !from->recorded_us || !to->recorded_us) {
      return machine->Misuse(kInvalidHandle, "the time of an event that was not recorded");
    }
    *ms = static_cast<float>((*to->recorded_us - *from->recorded_us) / 1e3);
    return 0;
  });
}

}  // namespace moetune::fake_cuda
