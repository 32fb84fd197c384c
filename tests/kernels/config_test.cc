#include "kernels/config.h"

#include <random>
#include <vector>

#include "absl/hash/hash_testing.h"
#include "gmock/gmock.h"

namespace moetune {
namespace {

using testing::HasSubstr;

TEST(Config, TextIsSortedWhateverTheOrderOfSetting) {
  Config config;
  config.Set("stages", 4);
  config.Set("block_m", 128);
  config.Set("cluster", {2, 1});
  EXPECT_EQ(config.Text(), "block_m=128 cluster=2,1 stages=4");
  EXPECT_EQ(ParseConfig("stages=4 cluster=2,1 block_m=128").value(), config);
  EXPECT_EQ(Config({{"stages", {4}}, {"cluster", {2, 1}}, {"block_m", {128}}}), config);
  EXPECT_EQ(Config().Text(), "");
  EXPECT_TRUE(ParseConfig("").value().empty());
}

TEST(Config, SettingAgainReplaces) {
  Config config = {{"stages", 4}};
  config.Set("stages", 5);
  EXPECT_EQ(config, Config({{"stages", 5}}));
}

TEST(Config, ACopyDoesNotFollowWhatIsSetLater) {
  const Config original = {{"stages", 4}};
  Config copy = original;
  EXPECT_EQ(&copy.entries(), &original.entries()) << "copies share";
  copy.Set("stages", 5);
  copy.Set("block_m", 128);
  EXPECT_EQ(original.Text(), "stages=4");
  EXPECT_EQ(copy.Text(), "block_m=128 stages=5");
}

TEST(Config, GetGivesTheFirstIntegerOrTheFallback) {
  Config config = {{"stages", 4}};
  config.Set("cluster", {2, 1});
  EXPECT_EQ(config.Get("stages"), 4);
  EXPECT_EQ(config.Get("cluster"), 2);
  EXPECT_EQ(config.Get("threads"), 0);
  EXPECT_EQ(config.Get("threads", 128), 128);
  EXPECT_EQ(*config.Find("cluster"), (Config::Values{2, 1}));
  EXPECT_EQ(config.Find("threads"), nullptr);
}

TEST(Config, EveryTextReadsBackAsItself) {
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 1000; ++repeat) {
    Config config;
    for (unsigned i = random() % 6; i > 0; --i) {
      std::string name(1, static_cast<char>('a' + random() % 26));
      for (unsigned j = random() % 5; j > 0; --j) name += "az09_"[random() % 5];
      Config::Values values(1 + random() % 3);
      for (int64_t& value : values) {
        value = (static_cast<int64_t>(random()) << 21) * (random() % 2 == 0 ? 1 : -1);
      }
      config.Set(name, values);
    }
    const absl::StatusOr<Config> parsed = ParseConfig(config.Text());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, config);
  }
}

TEST(Config, MalformedTextIsRefusedByTheWordThatIsWrong) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"block_m", "'block_m' is not NAME=INTEGER"},
      {"=4", "'=4' is not NAME=INTEGER"},
      {"Stages=4", "'Stages=4' is not NAME=INTEGER"},
      {"4stages=4", "'4stages=4' is not NAME=INTEGER"},
      {"block-m=4", "'block-m=4' is not NAME=INTEGER"},
      {"a=1, b=2", "a '' is not an integer"},
      {"a=1 a=2", "'a' stands twice"},
      {"stages=", "stages '' is not an integer"},
      {"stages=four", "stages 'four' is not an integer"},
      {"stages=4,", "stages '' is not an integer"},
      {"stages=4,,5", "stages '' is not an integer"},
      {"stages=4=5", "stages '4=5' is not an integer"},
      {"stages=99999999999999999999", "stages '99999999999999999999' is not an integer from"},
  };
  for (const auto& [text, message] : cases) {
    const absl::Status status = ParseConfig(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr(std::string(message)));
  }
}

TEST(Config, EqualityOrderAndHashAgree) {
  const std::vector<Config> configs = {
      {}, {{"a", 1}}, {{"a", 2}}, {{"b", 1}}, {{"a", 1}, {"b", 1}}};
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(configs));
  for (const Config& left : configs) {
    for (const Config& right : configs) {
      EXPECT_EQ(left == right, (left <=> right) == 0);
      EXPECT_EQ(left == right, left.Text() == right.Text());
    }
  }
}

}  // namespace
}  // namespace moetune
