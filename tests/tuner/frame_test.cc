#include "tuner/frame.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace moetune {
namespace {

// What WriteFrame puts on a socket.
std::string Written(const std::vector<std::string>& messages) {
  int sockets[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  for (const std::string& message : messages) {
    EXPECT_TRUE(WriteFrame(sockets[0], message).ok());
  }
  close(sockets[0]);
  std::string bytes;
  char piece[1000];
  for (ssize_t count = 0; (count = read(sockets[1], piece, sizeof piece)) > 0;) {
    bytes.append(piece, count);
  }
  close(sockets[1]);
  return bytes;
}

TEST(Frame, MessagesComeOutAsTheyWentInHoweverTheBytesWereCut) {
  const std::vector<std::string> messages = {"one", "", std::string(3000, 'x'),
                                             std::string("\0\1\2", 3)};
  const std::string bytes = Written(messages);
  for (size_t cut : {1u, 2u, 5u, 1000u, 100000u}) {
    FrameReader reader;
    std::vector<std::string> received;
    for (size_t at = 0; at < bytes.size(); at += cut) {
      reader.Append(std::string_view(bytes).substr(at, cut));
      while (auto message = reader.Next().value()) received.push_back(*message);
    }
    EXPECT_EQ(received, messages) << "cut into pieces of " << cut;
  }
}

TEST(Frame, AMessageCutShortIsNotHandedOut) {
  const std::string bytes = Written({"a message"});
  FrameReader reader;
  reader.Append(std::string_view(bytes).substr(0, bytes.size() - 1));
  EXPECT_EQ(reader.Next().value(), std::nullopt);
}

TEST(Frame, BytesThatAreNoFramesAreAnErrorAndNotAnAllocation) {
  FrameReader reader;
  reader.Append("hello world, this is text");
  EXPECT_TRUE(absl::IsDataLoss(reader.Next().status()));
}

TEST(Frame, WritingToWhoIsGoneIsUnavailableAndNoSignal) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  close(sockets[1]);
  EXPECT_TRUE(absl::IsUnavailable(WriteFrame(sockets[0], "anyone?")));
  close(sockets[0]);
}

}  // namespace
}  // namespace moetune
