#include "kernels/names.h"

#include <limits>

#include "gmock/gmock.h"

namespace moetune {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(UnknownName, OffersTheNearestNameAndListsAll) {
  const absl::Status status = UnknownName("op", "forwrad", {"forward", "dgrad", "wgrad"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "unknown op 'forwrad'; did you mean 'forward'? known: forward, dgrad, wgrad");
}

TEST(UnknownName, OffersForEachKindOfSlip) {
  for (const std::string_view typo : {"sofmax", "softmaxx", "softmaz", "osftmax", "soft_max"}) {
    EXPECT_THAT(UnknownName("routing", typo, {"balanced", "softmax", "zipf"}).message(),
                HasSubstr("did you mean 'softmax'?"))
        << typo;
  }
}

TEST(UnknownName, OffersNothingForAnUnrelatedName) {
  EXPECT_THAT(UnknownName("routing", "hexagonal", {"balanced", "softmax"}).message(),
              Not(HasSubstr("did you mean")));
  EXPECT_EQ(UnknownName("routing", "", {"balanced"}).message(),
            "unknown routing ''; known: balanced");
}

TEST(ParseInteger, ReadsEveryIntegerOfTheRange) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const int64_t value : {kMin, int64_t{-1}, int64_t{0}, int64_t{7}, kMax}) {
    EXPECT_EQ(ParseInteger("n", std::to_string(value), kMin, kMax).value(), value);
  }
  EXPECT_EQ(ParseInteger("n", "3", 3, 3).value(), 3);
}

TEST(ParseInteger, SaysWhatIsAllowedForAnythingElse) {
  for (const std::string_view text : {"", " 7", "7 ", "+7", "0x7", "7.0", "1e3", "seven", "6",
                                      "100", "-7", "99999999999999999999"}) {
    const absl::Status status = ParseInteger("tokens", text, 7, 99).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(status.message(),
              "tokens '" + std::string(text) + "' is not an integer from 7 to 99");
  }
}

}  // namespace
}  // namespace moetune
