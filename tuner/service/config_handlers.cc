#include "tuner/service/config_handlers.h"

#include <algorithm>
#include <compare>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "kernels/status_macros.h"
#include "proto/convert.h"
#include "proto/field_path.h"
#include "tuner/service/device_choice.h"

namespace moetune {
namespace {

using WinnerPointer = std::shared_ptr<const Winner>;

// Longer keys cannot be valid, and are not worth quoting.
constexpr size_t kMaxKeyBytes = 512;

absl::StatusOr<Problem> AskedProblem(const v1::LookupRequest& request, std::string_view path) {
  switch (request.asked_case()) {
    case v1::LookupRequest::kProblem:
      return FromProto(request.problem(), JoinPath(path, "problem"));
    case v1::LookupRequest::kProblemKey: {
      const std::string& key = request.problem_key();
      absl::StatusOr<Problem> problem =
          key.size() <= kMaxKeyBytes
              ? ParseProblem(key)
              : absl::InvalidArgumentError(absl::StrFormat(
                    "a problem key has at most %d bytes, not %d", kMaxKeyBytes, key.size()));
      if (!problem.ok()) return WithFieldPath(problem.status(), JoinPath(path, "problem_key"));
      return problem;
    }
    case v1::LookupRequest::ASKED_NOT_SET:
      break;
  }
  return WithFieldPath(absl::InvalidArgumentError("give a problem or a problem_key"),
                       JoinPath(path, "problem"));
}

absl::StatusOr<DeviceSpec> AskedDevice(const Snapshot& snapshot, const v1::Device& message,
                                       std::string_view path) {
  // The name alone, or nothing at all: compute capability 0 is no device's.
  if (message.compute_capability() == 0) {
    absl::StatusOr<DeviceSpec> device = ChooseDevice(message.name(), snapshot);
    if (!device.ok()) return WithFieldPath(device.status(), JoinPath(path, "name"));
    return device;
  }
  ASSIGN_OR_RETURN(DeviceSpec device, FromProto(message, path));
  // Rates come all together or not at all: a device that was never measured has none.
  if (std::min({device.read_gbps, device.write_gbps, device.copy_gbps, device.matrix_tflops,
                device.fma_tflops}) == 0) {
    FillRates(device);
  }
  return device;
}

absl::Status LookupAt(const Snapshot& snapshot, const v1::LookupRequest& request,
                      std::string_view path, v1::LookupResponse& response) {
  ASSIGN_OR_RETURN(const Problem problem, AskedProblem(request, path));
  ASSIGN_OR_RETURN(const DeviceSpec device,
                   AskedDevice(snapshot, request.device(), JoinPath(path, "device")));
  const absl::StatusOr<Choice> choice = snapshot.Lookup(problem, device);
  if (!choice.ok()) return WithFieldPath(choice.status(), path);
  response = ToProto(*choice, FromProto(request.environment()), snapshot.Token());
  return absl::OkStatus();
}

// The place of a winner in the order of Snapshot::Winners.
struct Position {
  std::string device;
  std::string problem;
  bool estimated = false;

  auto operator<=>(const Position&) const = default;
};

Position PositionOf(const Winner& winner) {
  return {winner.device.name, ProblemKey(winner.problem), winner.estimated};
}

std::string PageToken(const Winner& last) {
  const Position position = PositionOf(last);
  return absl::WebSafeBase64Escape(
      absl::StrFormat("%s\n%s\n%d", position.device, position.problem, position.estimated ? 1 : 0));
}

absl::StatusOr<Position> ParsePageToken(const std::string& token) {
  std::string text;
  if (absl::WebSafeBase64Unescape(token, &text)) {
    const std::vector<std::string> parts = absl::StrSplit(text, '\n');
    if (parts.size() == 3 && ParseProblem(parts[1]).ok() && (parts[2] == "0" || parts[2] == "1")) {
      return Position{parts[0], parts[1], parts[2] == "1"};
    }
  }
  return absl::InvalidArgumentError("not a page token of this service");
}

absl::StatusOr<int> PageSize(int requested) {
  if (requested < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("page_size: must be from 1 to %d, or 0 for %d, not %d", kMaxPageSize,
                        kDefaultPageSize, requested));
  }
  return requested == 0 ? kDefaultPageSize : std::min(requested, kMaxPageSize);
}

}  // namespace

absl::Status HandleLookup(const Snapshot& snapshot, const v1::LookupRequest& request,
                          v1::LookupResponse& response) {
  return LookupAt(snapshot, request, "", response);
}

absl::Status HandleBatchLookup(const Snapshot& snapshot, const v1::BatchLookupRequest& request,
                               v1::BatchLookupResponse& response,
                               const std::function<bool()>& cancelled) {
  if (request.requests_size() > kMaxBatch) {
    return WithFieldPath(
        absl::InvalidArgumentError(absl::StrFormat("%d requests in a batch; at most %d are allowed",
                                                   request.requests_size(), kMaxBatch)),
        "requests");
  }
  for (int i = 0; i < request.requests_size(); ++i) {
    if (cancelled()) return absl::CancelledError("the batch was cancelled");
    RETURN_IF_ERROR(LookupAt(snapshot, request.requests(i), absl::StrFormat("requests[%d]", i),
                             *response.add_responses()));
  }
  return absl::OkStatus();
}

absl::Status HandleListWinners(const Snapshot& snapshot, const v1::ListWinnersRequest& request,
                               v1::ListWinnersResponse& response) {
  const absl::StatusOr<int> page_size = PageSize(request.page_size());
  if (!page_size.ok()) return WithFieldPath(page_size.status(), "page_size");

  std::vector<WinnerPointer> winners = snapshot.Winners();
  if (!request.device_name().empty()) {
    const absl::StatusOr<DeviceSpec> device = ChooseDevice(request.device_name(), snapshot);
    if (!device.ok()) return WithFieldPath(device.status(), "device_name");
    std::erase_if(winners,
                  [&](const WinnerPointer& winner) { return winner->device.name != device->name; });
  }
  auto next = winners.begin();
  if (!request.page_token().empty()) {
    const absl::StatusOr<Position> last = ParsePageToken(request.page_token());
    if (!last.ok()) return WithFieldPath(last.status(), "page_token");
    next = std::ranges::upper_bound(
        winners, *last, {}, [](const WinnerPointer& winner) { return PositionOf(*winner); });
  }
  const auto end = next + std::min<ptrdiff_t>(*page_size, winners.end() - next);
  for (; next != end; ++next) *response.add_winners() = ToProto(**next);
  if (next != winners.end() && response.winners_size() > 0) {
    response.set_next_page_token(PageToken(**std::prev(next)));
  }
  response.set_snapshot_token(snapshot.Token());
  return absl::OkStatus();
}

}  // namespace moetune
