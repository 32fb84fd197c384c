#include "proto/field_path.h"

#include <gtest/gtest.h>

namespace moetune {
namespace {

TEST(FieldPath, TheInnermostPathStands) {
  const absl::Status inner = WithFieldPath(absl::InvalidArgumentError("bad"), "problem.top_k");
  const absl::Status outer = WithFieldPath(inner, "problem");
  EXPECT_EQ(FieldPath(outer), "problem.top_k");
  EXPECT_EQ(outer.message(), "bad");
}

TEST(FieldPath, AnOkStatusHasNone) {
  EXPECT_TRUE(WithFieldPath(absl::OkStatus(), "problem").ok());
  EXPECT_EQ(FieldPath(absl::OkStatus()), "");
}

TEST(FieldPath, AnEmptyPathIsNoPath) {
  const absl::Status status = WithFieldPath(absl::NotFoundError("none"), "");
  EXPECT_EQ(FieldPath(WithFieldPath(status, "device")), "device");
}

TEST(FieldPath, JoiningWithNothingAddsNoDot) {
  EXPECT_EQ(JoinPath("requests[3]", "problem"), "requests[3].problem");
  EXPECT_EQ(JoinPath("", "problem"), "problem");
  EXPECT_EQ(JoinPath("problem", ""), "problem");
}

}  // namespace
}  // namespace moetune
