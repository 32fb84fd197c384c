#include "tuner/verifier.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

std::string InDraw(std::string_view complaint, const HostWorkload& host, int draw) {
  if (draw == host.timed_draws()) {
    return absl::StrFormat("%s (with the sparse routing)", complaint);
  }
  if (host.timed_draws() == 1) return absl::StrFormat("%s (with the tuned routing)", complaint);
  return absl::StrFormat("%s (with %s routing)", complaint,
                         RoutingText(EachRouting(host.problem)[draw].routing));
}

}  // namespace

absl::Status Verifier::Run(const LoadedKernel& kernel, int draw, const Launcher& launcher) {
  RETURN_IF_ERROR(workload_.PoisonOutput());
  RETURN_IF_ERROR(launcher([&] {
    return kernel.Launch(workload_.host().problem, workload_.Args(draw), stream_.get());
  }));
  return stream_.Synchronize();
}

// Whether the device knows the output to be that of `copy`.
absl::StatusOr<bool> Verifier::IsCopy(const Buffer& copy) const {
  if (copy.bytes() == 0) return false;
  return comparison_->Equal(workload_.output(), copy.address(), workload_.OutputBytes(),
                            stream_.get());
}

// Of an output that is right.
absl::Status Verifier::KeepCopy(Buffer& copy) {
  if (!comparison_) return absl::OkStatus();
  const absl::Status copied = workload_.CopyOutput(copy);
  return absl::IsResourceExhausted(copied) ? absl::OkStatus() : copied;
}

absl::StatusOr<Complaint> Verifier::CompareBits(Expected& expected) {
  ASSIGN_OR_RETURN(const bool equal, IsCopy(expected.copy));
  if (equal) return Complaint();
  Complaint complaint;
  int64_t offset = 0;
  RETURN_IF_ERROR(workload_.ReadOutput([&](std::span<const uint8_t> piece) {
    complaint = CheckEqual(workload_.host().problem, offset,
                           std::span(expected.bytes).subspan(offset, piece.size()), piece);
    offset += static_cast<int64_t>(piece.size());
    return !complaint;
  }));
  // The host's bytes are what counts: a kernel that writes astray may have hit the copy.
  if (!complaint) RETURN_IF_ERROR(KeepCopy(expected.copy));
  return complaint;
}

absl::StatusOr<Verifier::Output> Verifier::ReadAll() {
  Output output;
  output.reserve(workload_.OutputBytes());
  RETURN_IF_ERROR(workload_.ReadOutput([&](std::span<const uint8_t> piece) {
    output.insert(output.end(), piece.begin(), piece.end());
    return true;
  }));
  return output;
}

Complaint Verifier::Judge(int draw, const Output& output, uint64_t seed) const {
  const HostWorkload& host = workload_.host();
  if (Complaint complaint = CheckWritten(host, draw, output)) return complaint;
  const auto reference = expected_.find(kReference);
  if (reference == expected_.end()) return CheckSample(host, draw, output, seed);
  return CheckClose(host, draw, reference->second[draw].bytes, output);
}

absl::StatusOr<Complaint> Verifier::Verify(const LoadedKernel& kernel, uint64_t seed,
                                           const Launcher& launcher) {
  const std::string_view family = kernel.candidate().family->name;
  const auto known = expected_.find(family);
  const int draws = static_cast<int>(workload_.host().draws.size());
  std::vector<Expected> outputs(draws);
  for (int draw = 0; draw < draws; ++draw) {
    RETURN_IF_ERROR(Run(kernel, draw, launcher));
    Complaint complaint;
    if (known != expected_.end()) {
      ASSIGN_OR_RETURN(complaint, CompareBits(known->second[draw]));
    } else {
      ASSIGN_OR_RETURN(outputs[draw].bytes, ReadAll());
      complaint = Judge(draw, outputs[draw].bytes, seed);
      if (!complaint) RETURN_IF_ERROR(KeepCopy(outputs[draw].copy));
    }
    if (complaint) return InDraw(*complaint, workload_.host(), draw);
  }
  if (known == expected_.end()) expected_[family] = std::move(outputs);
  return Complaint();
}

}  // namespace moetune
