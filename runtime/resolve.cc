#include "runtime/resolve.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/cost_model.h"
#include "kernels/registry.h"
#include "kernels/space.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// Candidates tried before giving up: families take turns, and each attempt may be a compile.
constexpr int kMaxAttempts = 16;

struct Ranked {
  size_t round = 0;  // place within its family
  double us = 0;
  Candidate candidate;
};

std::vector<Ranked> RankFamily(const Family& family, const Problem& problem,
                               const DeviceSpec& device) {
  std::vector<Ranked> ranked;
  for (Config& config : EnumerateLegal(family, problem, device)) {
    Candidate candidate = {&family, std::move(config)};
    const double us = EstimateUs(problem, candidate, device, nullptr);
    ranked.push_back({.us = us, .candidate = std::move(candidate)});
  }
  std::ranges::stable_sort(ranked, {}, &Ranked::us);
  for (size_t i = 0; i < ranked.size(); ++i) ranked[i].round = i;
  return ranked;
}

struct Chosen {
  Candidate candidate;
  Tier tier = Tier::kDefault;
  std::string nvrtc_version;  // of its measurement; empty when there was none
};

// `choice` as a candidate of this program, legal on this device.
absl::StatusOr<Chosen> Accept(const Choice& choice, const Problem& problem,
                              const DeviceSpec& device) {
  const Winner& winner = *choice.winner;
  // A server may know families that this program does not have, in another version of their space.
  ASSIGN_OR_RETURN(const Family* family, FindFamily(winner.family));
  RETURN_IF_ERROR(CheckLegal(*family, problem, winner.config, device));
  return Chosen{.candidate = {family, winner.config},
                .tier = choice.tier,
                .nvrtc_version = winner.environment.nvrtc};
}

// Neither a full pool nor a missing compiler is a candidate's fault: the next would fail too.
bool EndsAttempts(const absl::Status& failure) {
  return absl::IsResourceExhausted(failure) || absl::IsFailedPrecondition(failure);
}

absl::StatusOr<ReadyPoint> ResolveFallback(const Problem& problem, const DeviceSpec& device,
                                           const Chosen& chosen, absl::Status rejected,
                                           KernelPool& pool, const ReadyTable& table) {
  absl::Status last = rejected;
  int attempts = 0;
  for (const Candidate& candidate : FallbackOrder(problem, device)) {
    if (candidate == chosen.candidate) continue;
    absl::StatusOr<const LoadedKernel*> kernel = pool.Get(problem, candidate, chosen.nvrtc_version);
    if (kernel.ok()) return ReadyPoint{.kernel = *kernel, .rejected = std::move(rejected)};
    last = kernel.status();
    if (rejected.ok()) rejected = last;
    if (EndsAttempts(last) || ++attempts == kMaxAttempts) break;
  }
  if (absl::IsResourceExhausted(last)) return last;
  if (const LoadedKernel* loaded = table.BestLoaded(problem, device)) {
    return ReadyPoint{.kernel = loaded, .rejected = std::move(rejected)};
  }
  if (last.ok()) {
    return absl::NotFoundError(absl::StrFormat("no family runs it on %s", device.name));
  }
  if (last == rejected) return last;
  return absl::Status(last.code(), absl::StrFormat("%s; the first choice failed with: %s",
                                                   last.message(), rejected.message()));
}

}  // namespace

std::vector<Candidate> FallbackOrder(const Problem& problem, const DeviceSpec& device) {
  std::vector<Ranked> all;
  for (const Family* family : Families()) {
    for (Ranked& ranked : RankFamily(*family, problem, device)) all.push_back(std::move(ranked));
  }
  std::ranges::stable_sort(all, {}, [](const Ranked& r) { return std::tuple(r.round, r.us); });
  std::vector<Candidate> order;
  for (Ranked& ranked : all) order.push_back(std::move(ranked.candidate));
  return order;
}

absl::StatusOr<ReadyPoint> Resolve(const Problem& problem, const DeviceSpec& device,
                                   ConfigSource* source, KernelPool& pool,
                                   const ReadyTable& table) {
  if (source == nullptr) return ResolveFallback(problem, device, {}, {}, pool, table);
  const absl::StatusOr<Choice> choice = source->Lookup(problem, device);
  if (!choice.ok()) {
    // A source that is away for a moment takes nothing back.
    const ReadyTable::Match ready = table.Find(problem.shape, problem.rows);
    const bool stands = ready.exact && !ready.point->pinned && ready.point->rejected.ok();
    if (stands) return *ready.point;
    return ResolveFallback(problem, device, {}, choice.status(), pool, table);
  }
  const absl::StatusOr<Chosen> chosen = Accept(*choice, problem, device);
  if (!chosen.ok()) return ResolveFallback(problem, device, {}, chosen.status(), pool, table);
  absl::StatusOr<const LoadedKernel*> kernel =
      pool.Get(problem, chosen->candidate, chosen->nvrtc_version);
  if (kernel.ok()) return ReadyPoint{.kernel = *kernel, .tier = chosen->tier};
  if (absl::IsResourceExhausted(kernel.status())) return kernel.status();
  return ResolveFallback(problem, device, *chosen, kernel.status(), pool, table);
}

}  // namespace moetune
