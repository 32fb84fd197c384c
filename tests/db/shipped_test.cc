// The winners that come with the project: files of db/shipped.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <variant>

#include "db/record.h"
#include "db/text_format.h"
#include "gtest/gtest.h"
#include "kernels/registry.h"
#include "kernels/space.h"

namespace moetune {
namespace {

TEST(Shipped, HoldsMeasuredWinnersThatRunOnTheirDeviceAlone) {
  int winners = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(MOETUNE_SOURCE_DIR "/db/shipped")) {
    if (file.is_directory()) continue;
    SCOPED_TRACE(file.path().string());
    std::ostringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const absl::StatusOr<std::vector<Record>> records = ReadText(text.str());
    ASSERT_TRUE(records.ok()) << records.status();
    for (const Record& record : *records) {
      const auto* winner = std::get_if<Winner>(&record.row);
      ASSERT_NE(winner, nullptr) << "only winners are worth shipping";
      SCOPED_TRACE(ProblemKey(winner->problem) + " " + winner->config.Text());
      EXPECT_FALSE(winner->estimated);
      const absl::StatusOr<const Family*> family = FindFamily(winner->family);
      ASSERT_TRUE(family.ok()) << family.status();
      const absl::Status legal =
          CheckLegal(**family, winner->problem, winner->config, winner->device);
      EXPECT_TRUE(legal.ok()) << legal;
      EXPECT_LE(winner->time_us, winner->default_time_us * 1.02);
      ++winners;
    }
  }
  EXPECT_GT(winners, 0);
}

}  // namespace
}  // namespace moetune
