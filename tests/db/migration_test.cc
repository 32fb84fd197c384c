// Versions of the schema: every step from an older one, and what happens beyond the newest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_format.h"
#include "db/sqlite.h"
#include "db/sqlite_store.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class MigrationTest : public ::testing::Test {
 protected:
  // Today's schema and one more version with this SQL.
  std::vector<EmbeddedFile> SchemaAnd(std::string_view sql) {
    std::vector<EmbeddedFile> schema(EmbeddedSchema().begin(), EmbeddedSchema().end());
    schema.push_back({"db/schema/999_next.sql", sql});
    return schema;
  }
  int64_t Version() {
    return sqlite::Database::Open(path_, sqlite::Access::kReadOnly)
        ->QueryInteger("PRAGMA user_version")
        .value();
  }

  const int64_t newest_ = static_cast<int64_t>(EmbeddedSchema().size());
  TempFolder folder_;
  std::string path_ = folder_.File("a.db");
};

TEST_F(MigrationTest, TheSchemaFilesAreNumberedFromOneWithoutGaps) {
  int number = 0;
  for (const EmbeddedFile& file : EmbeddedSchema()) {
    EXPECT_THAT(std::string(file.path), StartsWith(absl::StrFormat("db/schema/%03d_", ++number)));
  }
  EXPECT_GE(number, 1);
}

TEST_F(MigrationTest, ANewFileHasTheNewestVersionAndTheApplicationsId) {
  ASSERT_TRUE(OpenSqliteStore(path_, OpenMode::kReadWrite).ok());
  EXPECT_EQ(Version(), newest_);
  EXPECT_EQ(sqlite::Database::Open(path_, sqlite::Access::kReadOnly)
                ->QueryInteger("PRAGMA application_id")
                .value(),
            kApplicationId);
}

TEST_F(MigrationTest, EveryOlderVersionIsUpgraded) {
  for (size_t old = 1; old <= EmbeddedSchema().size(); ++old) {
    const TempFolder folder;
    const std::string path = folder.File("old.db");
    const SqliteOptions options = {.schema = EmbeddedSchema().first(old)};
    ASSERT_TRUE(OpenSqliteStore(path, OpenMode::kReadWrite, options).ok());
    const auto store = OpenSqliteStore(path, OpenMode::kReadWrite).value();
    EXPECT_EQ(store->Append(ManyWinners(1)).value(), 1);
  }
}

TEST_F(MigrationTest, AnUpgradeKeepsTheRowsAndTheId) {
  const std::vector<EmbeddedFile> next = SchemaAnd("CREATE TABLE extra (x INTEGER) STRICT;");
  ScanResult before;
  {
    const auto store = OpenSqliteStore(path_, OpenMode::kReadWrite).value();
    ASSERT_TRUE(store->Append(ManyWinners(3)).ok());
    before = store->Scan(0).value();
  }
  const auto store = OpenSqliteStore(path_, OpenMode::kReadWrite, {.schema = next}).value();
  const ScanResult after = store->Scan(0).value();
  EXPECT_EQ(after.database_id, before.database_id);
  EXPECT_EQ(after.records, before.records);
  EXPECT_EQ(Version(), newest_ + 1);
}

TEST_F(MigrationTest, ATrialOfVersionOneHasNothingOfFinals) {
  const SqliteOptions first = {.schema = EmbeddedSchema().first(1)};
  ASSERT_TRUE(
      OpenSqliteStore(path_, OpenMode::kReadWrite, first).value()->Append(ManyWinners(1)).ok());
  const Measurement trial = MeasurementFor(SmallProblem(16));
  const std::string insert = absl::StrFormat(
      "INSERT INTO log (uuid, kind) VALUES ('%s', 'measurement');"
      "INSERT INTO measurement VALUES (2, '%s', 1, 1, 1, 'reference', 1, 'final', 'ok', '', 50, "
      "0.25, 20, 300, '', 1, 1980, 3201, 512.5, 61, %d);",
      NewUuid(), trial.sweep, trial.measured_at);
  ASSERT_TRUE(
      sqlite::Database::Open(path_, sqlite::Access::kReadWrite)->Execute(insert.c_str()).ok());
  const auto store = OpenSqliteStore(path_, OpenMode::kReadWrite).value();
  const ScanResult scan = store->Scan(0).value();
  ASSERT_EQ(scan.records.size(), 2u);
  Measurement read = std::get<Measurement>(scan.records[1].row);
  EXPECT_EQ(read.clocks, trial.clocks);
  EXPECT_EQ(read.time_us, 50);
  EXPECT_EQ(read.hot_us, 0);
  EXPECT_EQ(read.unsteady_rounds, 0);
  EXPECT_TRUE(read.routing_us.empty());
}

TEST_F(MigrationTest, AnUpgradeThatFailsChangesNothing) {
  ASSERT_TRUE(OpenSqliteStore(path_, OpenMode::kReadWrite).ok());
  const std::vector<EmbeddedFile> broken =
      SchemaAnd("CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE log (x INTEGER) STRICT;");
  const absl::Status status =
      OpenSqliteStore(path_, OpenMode::kReadWrite, {.schema = broken}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("999_next.sql"));
  EXPECT_EQ(Version(), newest_);
  EXPECT_EQ(sqlite::Database::Open(path_, sqlite::Access::kReadOnly)
                ->QueryInteger("SELECT count(*) FROM sqlite_schema WHERE name = 'half'")
                .value(),
            0);
}

TEST_F(MigrationTest, ANewerVersionIsRefusedWithBothNumbers) {
  const std::vector<EmbeddedFile> next = SchemaAnd("CREATE TABLE extra (x INTEGER) STRICT;");
  ASSERT_TRUE(OpenSqliteStore(path_, OpenMode::kReadWrite, {.schema = next}).ok());
  for (const OpenMode mode : {OpenMode::kReadOnly, OpenMode::kReadWrite}) {
    const absl::Status status = OpenSqliteStore(path_, mode).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(absl::StrFormat("schema version %d", newest_ + 1)),
                      HasSubstr(absl::StrFormat("up to %d", newest_)), HasSubstr("newer moetune")));
  }
}

TEST_F(MigrationTest, AnOlderVersionOpenedReadOnlySaysHowToUpgradeIt) {
  ASSERT_TRUE(OpenSqliteStore(path_, OpenMode::kReadWrite).ok());
  const std::vector<EmbeddedFile> next = SchemaAnd("CREATE TABLE extra (x INTEGER) STRICT;");
  const absl::Status status =
      OpenSqliteStore(path_, OpenMode::kReadOnly, {.schema = next}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("open it for writing once"));
  EXPECT_EQ(Version(), newest_);
}

}  // namespace
}  // namespace moetune
