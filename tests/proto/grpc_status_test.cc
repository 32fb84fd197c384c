#include "proto/grpc_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "moetune/v1/error_details.pb.h"
#include "proto/field_path.h"

namespace moetune {
namespace {

using ::testing::EndsWith;

TEST(GrpcStatus, EveryCodeAndMessageCrossesTheWireUnchanged) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");
    EXPECT_EQ(ToGrpc(status).error_code(), code);
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
}

TEST(GrpcStatus, TheFieldPathCrossesTheWire) {
  const absl::Status status =
      WithFieldPath(absl::InvalidArgumentError("too many"), "requests[3].problem.top_k");
  EXPECT_EQ(FieldPath(FromGrpc(ToGrpc(status))), "requests[3].problem.top_k");
}

// The bytes that google.rpc.Status{3, "m", [BadRequest{[{"f", "m"}]}]} has: what any client that
// knows google.rpc reads.
TEST(GrpcStatus, DetailsAreTheBytesOfGoogleRpcStatus) {
  const grpc::Status status = ToGrpc(WithFieldPath(absl::InvalidArgumentError("m"), "f"));
  const std::string type = "type.googleapis.com/google.rpc.BadRequest";
  const std::string violation = std::string("\x0a\x01") + "f" + "\x12\x01" + "m";
  const std::string bad_request = std::string("\x0a\x06") + violation;
  const std::string any = std::string("\x0a\x29") + type + "\x12\x08" + bad_request;
  EXPECT_EQ(status.error_details(), std::string("\x08\x03\x12\x01") + "m" + "\x1a\x35" + any);
}

TEST(GrpcStatus, WithoutAFieldPathThereAreNoDetails) {
  EXPECT_EQ(ToGrpc(absl::NotFoundError("none")).error_details(), "");
}

TEST(GrpcStatus, DetailsThatAreNotOursLeaveCodeAndMessage) {
  for (const std::string& details : {std::string("\xff\xff garbage"), std::string(100, '\0')}) {
    const grpc::Status status(grpc::StatusCode::NOT_FOUND, "none", details);
    EXPECT_EQ(FromGrpc(status), absl::NotFoundError("none"));
  }
}

TEST(GrpcStatus, ALongMessageIsCutBetweenCharacters) {
  std::string text = "x";
  while (text.size() < 5000) text += "µ";
  const std::string message = ToGrpc(absl::InternalError(text)).error_message();
  EXPECT_LE(message.size(), 1000u);
  EXPECT_GE(message.size(), 990u);
  EXPECT_THAT(message, EndsWith("µ..."));
}

}  // namespace
}  // namespace moetune
