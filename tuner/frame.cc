#include "tuner/frame.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_format.h"

namespace moetune {
namespace {

constexpr size_t kHeaderBytes = sizeof(uint32_t);
constexpr size_t kMaxBytes = size_t{64} << 20;

}  // namespace

absl::StatusOr<std::optional<std::string>> FrameReader::Next() {
  if (buffer_.size() < kHeaderBytes) return std::nullopt;
  uint32_t bytes = 0;  // both ends are one machine: the order of bytes is its own
  std::memcpy(&bytes, buffer_.data(), kHeaderBytes);
  if (bytes > kMaxBytes) {
    return absl::DataLossError(absl::StrFormat("a frame of %d bytes was announced", bytes));
  }
  if (buffer_.size() < kHeaderBytes + bytes) return std::nullopt;
  std::string message = buffer_.substr(kHeaderBytes, bytes);
  buffer_.erase(0, kHeaderBytes + bytes);
  return message;
}

absl::Status WriteFrame(int socket, std::string_view message) {
  const auto bytes = static_cast<uint32_t>(message.size());
  std::string frame(reinterpret_cast<const char*>(&bytes), kHeaderBytes);
  frame += message;
  for (std::string_view rest = frame; !rest.empty();) {
    const ssize_t sent = send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return absl::UnavailableError(std::strerror(errno));
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

}  // namespace moetune
