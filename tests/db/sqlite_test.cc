#include "db/sqlite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/temp_folder.h"

namespace moetune::sqlite {
namespace {

using ::testing::HasSubstr;

class SqliteTest : public ::testing::Test {
 protected:
  int64_t Count() { return database_.QueryInteger("SELECT count(*) FROM t").value(); }

  TempFolder folder_;
  std::string path_ = folder_.File("t.db");
  Database database_ = Database::Open(path_, Access::kReadWrite).value();
};

TEST_F(SqliteTest, TextKeepsEveryByteAndAnEmptyViewIsNotNull) {
  ASSERT_TRUE(database_.Execute("CREATE TABLE t (x TEXT NOT NULL) STRICT").ok());
  Statement insert = database_.Prepare("INSERT INTO t VALUES (?1)").value();
  const std::string bytes("a\0b\xc2\xb5", 5);
  for (const std::string_view text : {std::string_view(bytes), std::string_view()}) {
    insert.Bind(1, text);
    ASSERT_EQ(insert.Run(), absl::OkStatus());
  }
  Statement select = database_.Prepare("SELECT x FROM t ORDER BY rowid").value();
  ASSERT_TRUE(select.Step().value());
  EXPECT_EQ(select.Text(0), bytes);
  ASSERT_TRUE(select.Step().value());
  EXPECT_EQ(select.Text(0), "");
  EXPECT_FALSE(select.Step().value());
}

TEST_F(SqliteTest, ATransactionThatIsNotCommittedLeavesNothing) {
  ASSERT_TRUE(database_.Execute("CREATE TABLE t (x INTEGER)").ok());
  {
    Transaction transaction = Transaction::Begin(database_, Transaction::Kind::kWrite).value();
    ASSERT_TRUE(database_.Execute("INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_EQ(Count(), 0);
  {
    Transaction transaction = Transaction::Begin(database_, Transaction::Kind::kWrite).value();
    ASSERT_TRUE(database_.Execute("INSERT INTO t VALUES (1)").ok());
    ASSERT_EQ(transaction.Commit(), absl::OkStatus());
  }
  EXPECT_EQ(Count(), 1);
  EXPECT_FALSE(database_.in_transaction());
}

TEST_F(SqliteTest, AnErrorNamesTheFileAndTheCause) {
  const absl::Status status = database_.Execute("SELECT x FROM nowhere");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no such table: nowhere"));
}

TEST_F(SqliteTest, AFullDiskIsResourceExhaustedAndTheOldRowsStay) {
  ASSERT_TRUE(database_
                  .Execute("CREATE TABLE t (x BLOB); INSERT INTO t VALUES (1);"
                           "PRAGMA max_page_count = 4")
                  .ok());
  absl::Status status;
  {
    Transaction transaction = Transaction::Begin(database_, Transaction::Kind::kWrite).value();
    status = database_.Execute("INSERT INTO t VALUES (zeroblob(100000))");
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("make room"));
  EXPECT_EQ(Count(), 1);
  EXPECT_TRUE(database_.Execute("INSERT INTO t VALUES (2)").ok());
}

TEST_F(SqliteTest, WritingThroughAReadOnlyHandleIsDenied) {
  ASSERT_TRUE(database_.Execute("CREATE TABLE t (x INTEGER)").ok());
  Database reader = Database::Open(path_, Access::kReadOnly).value();
  EXPECT_EQ(reader.Execute("INSERT INTO t VALUES (1)").code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SqliteTest, AStatementRunsAgainWithNewValues) {
  ASSERT_TRUE(database_.Execute("CREATE TABLE t (x INTEGER)").ok());
  Statement insert = database_.Prepare("INSERT INTO t VALUES (?1)").value();
  for (int64_t i = 0; i < 10; ++i) {
    insert.Bind(1, i);
    ASSERT_EQ(insert.Run(), absl::OkStatus());
  }
  EXPECT_EQ(database_.QueryInteger("SELECT sum(x) FROM t").value(), 45);
}

TEST_F(SqliteTest, BindingWhatTheStatementLacksIsReportedByStep) {
  Statement select = database_.Prepare("SELECT ?1").value();
  select.Bind(2, int64_t{1});
  EXPECT_EQ(select.Step().status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace moetune::sqlite
