#include "kernels/registry.h"

#include <algorithm>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "kernels/source.h"

namespace moetune {
namespace {

using testing::HasSubstr;

// OpName answers "?" past the last OpKind.
bool IsOpKind(int kind) { return OpName(static_cast<OpKind>(kind)) != "?"; }

TEST(Registry, EveryOpKindHasItsOpAndReadsFromItsName) {
  int kinds = 0;
  for (; IsOpKind(kinds); ++kinds) {
    const auto kind = static_cast<OpKind>(kinds);
    const bool listed = std::ranges::any_of(Ops(), [&](const Op* op) { return op->kind == kind; });
    ASSERT_TRUE(listed) << OpName(kind);
    EXPECT_EQ(OpOf(kind).name, OpName(kind));
    EXPECT_EQ(ParseOp(OpName(kind)).value(), kind);
  }
  EXPECT_GT(kinds, 0);
  EXPECT_EQ(Ops().size(), static_cast<size_t>(kinds));
}

TEST(Registry, FamiliesHaveNamesOfTheirOwnAndAreFoundByThem) {
  std::set<std::string_view> names;
  for (const Family* family : Families()) {
    EXPECT_TRUE(names.insert(family->name).second) << family->name;
    EXPECT_EQ(FindFamily(family->name).value(), family);
    EXPECT_FALSE(family->summary.empty());
  }
  EXPECT_EQ(Families().front()->name, "reference");
}

TEST(Registry, AnUnknownFamilyIsAnsweredWithTheNearest) {
  const absl::Status status = FindFamily("refrence").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("unknown family 'refrence'; did you mean 'reference'?"));
}

TEST(Registry, EveryFamilyHasItsEmbeddedDeviceText) {
  for (const Family* family : Families()) {
    const auto file =
        std::ranges::find(EmbeddedFiles(), family->source, [](const auto& f) { return f.path; });
    ASSERT_NE(file, EmbeddedFiles().end()) << family->source;
    EXPECT_THAT(std::string(file->text), HasSubstr("moe_kernel"));
  }
}

}  // namespace
}  // namespace moetune
