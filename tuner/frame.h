// Frames: messages over a stream of bytes, each behind its length.
#ifndef MOETUNE_TUNER_FRAME_H_
#define MOETUNE_TUNER_FRAME_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace moetune {

// Cuts what was received into messages.
class FrameReader {
 public:
  void Append(std::string_view bytes) { buffer_ += bytes; }

  // The next whole message, or nullopt when more bytes are needed. DataLoss: the stream is not made
  // of frames.
  absl::StatusOr<std::optional<std::string>> Next();

 private:
  std::string buffer_;
};

// Writes one frame to a connected socket. Unavailable when the other end is gone.
absl::Status WriteFrame(int socket, std::string_view message);

}  // namespace moetune

#endif  // MOETUNE_TUNER_FRAME_H_
