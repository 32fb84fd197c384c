#include "proto/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moetune {
namespace {

using ::testing::HasSubstr;

TEST(Address, HostAndPortAreRead) {
  EXPECT_EQ(ParseAddress("127.0.0.1:50151").value(), (Address{"127.0.0.1", 50151}));
  EXPECT_EQ(ParseAddress("gpu-node7:0").value(), (Address{"gpu-node7", 0}));
  EXPECT_EQ(ParseAddress("[::1]:80").value(), (Address{"[::1]", 80}));
}

TEST(Address, TextIsWhatWasRead) {
  for (const char* text : {"127.0.0.1:50151", "[fe80::1]:1", "localhost:65535"}) {
    EXPECT_EQ(ParseAddress(text)->Text(), text);
  }
}

TEST(Address, WhatIsNotHostAndPortIsRefusedWithAnExample) {
  for (const char* text : {"", "localhost", ":50151", "::1:50151", "http://host:80", "a b:1"}) {
    const auto address = ParseAddress(text);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(address.status().message()), HasSubstr("127.0.0.1:50151")) << text;
  }
}

TEST(Address, APortOutsideItsRangeIsNamedWithTheRange) {
  for (const char* text : {"host:65536", "host:-1", "host:", "host:http"}) {
    const auto address = ParseAddress(text);
    EXPECT_THAT(std::string(address.status().message()), HasSubstr("0 to 65535")) << text;
  }
}

}  // namespace
}  // namespace moetune
