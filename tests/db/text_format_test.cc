#include "db/text_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/str_replace.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// One record of each kind, with what is hard to write down.
std::vector<Record> Sample() {
  Winner winner =
      WinnerFor(ProblemOf("forward/fp16/scatter/e16/t300x4/n7/k9/r77/zipf+counts-0000abcd"));
  winner.reason = std::string("said \"so\",\nwith a tab\t, a \\, µs, a NUL ") + '\0' + " byte ";
  winner.time_us = 0.1 + 0.2;
  winner.config.Set("order", Config::Values{3, -1, 2});
  Measurement measurement = MeasurementFor(SmallProblem(16), Fable75());
  measurement.outcome = Outcome::kTimeout;
  measurement.error = "";
  measurement.config = Config();
  measurement.seed = std::numeric_limits<uint64_t>::max();
  measurement.compile_ms = std::numeric_limits<double>::denorm_min();
  measurement.measured_at = std::numeric_limits<int64_t>::min();
  measurement.hot_us = 0.1;
  measurement.sm_clock_mhz = 1754.5;
  measurement.clocks.throttle = "power_cap+hot";
  measurement.unsteady_rounds = 3;
  measurement.routing_us = {1e-9, 0.1 + 0.2, 3};
  return {NewRecord(StartedSweep()), NewRecord(measurement), NewRecord(winner),
          NewRecord(WinnerFor(SmallProblem(32)))};
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string ReadError(const std::string& text) {
  return std::string(ReadText(text).status().message());
}

TEST(TextFormat, RecordsReadBackExactly) {
  const std::vector<Record> records = Sample();
  EXPECT_EQ(ReadText(WriteText(records)).value(), records);
  EXPECT_EQ(ReadText(WriteText({})).value(), std::vector<Record>());
}

TEST(TextFormat, TheSameRecordsGiveTheSameText) {
  const std::vector<Record> records = Sample();
  const std::string text = WriteText(records);
  EXPECT_EQ(WriteText(ReadText(text).value()), text);
}

TEST(TextFormat, SequenceNumbersBelongToTheStore) {
  std::vector<Record> records = {NewRecord(StartedSweep())};
  const std::string text = WriteText(records);
  records[0].sequence = 12345;
  EXPECT_EQ(WriteText(records), text);
}

TEST(TextFormat, APersonCanReadIt) {
  const std::string text = WriteText({{NewRecord(WinnerFor(SmallProblem(16)))}});
  EXPECT_THAT(text, StartsWith("moetune records 2\n\ndevice 1\n  name \"Fiction 100\"\n"));
  EXPECT_THAT(text, HasSubstr("  problem forward/bf16/plain/e8/t16x2/n1024/k512/softmax\n"));
  EXPECT_THAT(text, HasSubstr("  config \"block_k=32 block_m=64 block_n=64 threads=128\"\n"));
  EXPECT_THAT(text, HasSubstr("  time_us 50\n"));
  EXPECT_THAT(text, HasSubstr("\nend 1\n"));
}

TEST(TextFormat, ADeviceIsWrittenOnceForAllItsRecords) {
  const std::string text = WriteText(ManyWinners(100));
  EXPECT_EQ(text.find("Fiction 100"), text.rfind("Fiction 100"));
}

TEST(TextFormat, CommentsAndEmptyLinesMayStandBetween) {
  const std::vector<Record> records = Sample();
  const std::string text =
      Replaced(WriteText(records), "\n\n", "\n# measured on a rainy day\n\n\n");
  EXPECT_EQ(ReadText(text).value(), records);
}

TEST(TextFormat, LinesMayEndAsOnWindows) {
  const std::vector<Record> records = Sample();
  const std::string text = absl::StrReplaceAll(WriteText(records), {{"\n", "\r\n"}});
  EXPECT_EQ(ReadText(text).value(), records);
}

TEST(TextFormat, EveryCutIsAnError) {
  const std::string text = WriteText(Sample());
  for (size_t size = 0; size < text.size(); ++size) {
    const absl::Status status = ReadText(std::string_view(text).substr(0, size)).status();
    ASSERT_FALSE(status.ok()) << size;
    ASSERT_THAT(std::string(status.message()), StartsWith("line ")) << size;
  }
}

TEST(TextFormat, NoChangeOfAByteIsReadAsSomethingInvalid) {
  const std::string text = WriteText({{NewRecord(WinnerFor(SmallProblem(16)))}});
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char byte : {'\0', '\n', ' ', '"', '\\', '/', '0', '9', 'e', '-', '\xff'}) {
      if (byte == text[i]) continue;
      std::string changed = text;
      changed[i] = byte;
      const absl::StatusOr<std::vector<Record>> records = ReadText(changed);
      if (!records.ok()) continue;
      ASSERT_EQ(records->size(), 1u);
      ASSERT_EQ(ValidateRecord(records->front()), absl::OkStatus()) << changed;
      ASSERT_EQ(ReadText(WriteText(*records)).value(), *records);
    }
  }
}

TEST(TextFormat, ANewerVersionIsRefused) {
  const std::string text = Replaced(WriteText(Sample()), "moetune records 2", "moetune records 3");
  EXPECT_EQ(ReadError(text),
            "line 1: the first line must be 'moetune records N' with N from 1 to 2, not 'moetune "
            "records 3'");
}

TEST(TextFormat, TheFirstVersionHadNothingOfFinals) {
  Measurement measurement = MeasurementFor(SmallProblem(16));
  const std::vector<Record> records = {NewRecord(measurement)};
  const std::string text = Replaced(WriteText(records), "moetune records 2", "moetune records 1");
  EXPECT_THAT(ReadError(text), HasSubstr("unknown block ''"));
  const std::string finals =
      "  hot_us 0\n  sm_clock_mhz 0\n  throttle \"\"\n  unsteady_rounds 0\n  routing_us \"\"\n";
  EXPECT_EQ(ReadText(Replaced(text, finals, "")).value(), records);
}

TEST(TextFormat, ErrorsNameTheLineTheFieldAndWhatIsAllowed) {
  const std::string text = WriteText({{NewRecord(WinnerFor(SmallProblem(16)))}});
  EXPECT_THAT(ReadError(Replaced(text, "  time_us 50", "  time_us fast")),
              AllOf(StartsWith("line 33: "), HasSubstr("time_us 'fast': a finite number")));
  EXPECT_THAT(ReadError(Replaced(text, "  time_us 50", "  time_us inf")),
              HasSubstr("time_us 'inf': a finite number"));
  EXPECT_THAT(ReadError(Replaced(text, "sm_count 100", "sm_count 3000000000")),
              HasSubstr("an integer from -2147483648 to 2147483647"));
  EXPECT_THAT(ReadError(Replaced(text, "estimated false", "estimated no")),
              HasSubstr("true or false"));
  EXPECT_THAT(ReadError(Replaced(text, "  device 1", "  device 2")),
              HasSubstr("the blocks above have numbers up to 1"));
  EXPECT_THAT(ReadError(Replaced(text, "/plain/", "/plane/")), HasSubstr("'plane'"));
  EXPECT_THAT(ReadError(Replaced(text, "\"reference\"", "reference")),
              HasSubstr("double quotes is expected"));
}

TEST(TextFormat, AnUnknownMissingOrRepeatedFieldIsAnError) {
  const std::string text = WriteText({{NewRecord(WinnerFor(SmallProblem(16)))}});
  EXPECT_THAT(ReadError(Replaced(text, "  time_us_low", "  mood 3\n  time_us_low")),
              HasSubstr("field 'time_us_low' is expected here, not '  mood 3'"));
  EXPECT_THAT(ReadError(Replaced(text, "  time_us 50\n", "")),
              HasSubstr("field 'time_us' is expected here"));
  EXPECT_THAT(ReadError(Replaced(text, "  time_us 50\n", "  time_us 50\n  time_us 50\n")),
              HasSubstr("field 'time_us_low' is expected here"));
}

TEST(TextFormat, AnUnknownOrRepeatedBlockIsAnError) {
  const std::vector<Record> records = {NewRecord(WinnerFor(SmallProblem(16)))};
  const std::string text = WriteText(records);
  EXPECT_THAT(ReadError(Replaced(text, "\nwinner ", "\nwiner ")),
              AllOf(HasSubstr("unknown block 'winer'"), HasSubstr("'winner'")));
  EXPECT_THAT(ReadError(WriteText({{records[0], records[0]}})),
              HasSubstr("record " + records[0].uuid + " stands twice"));
  EXPECT_THAT(ReadError(Replaced(text, "\ndevice 1", "\ndevice 2")),
              HasSubstr("numbered in order"));
}

TEST(TextFormat, AnInvalidRecordIsAnError) {
  const std::string text = WriteText({{NewRecord(WinnerFor(SmallProblem(16)))}});
  EXPECT_THAT(ReadError(Replaced(text, "  time_us 50", "  time_us -50")),
              HasSubstr("time_us is -50"));
  EXPECT_THAT(ReadError(Replaced(text, "\nwinner ", "\nwinner x")), HasSubstr("is no UUID"));
}

TEST(TextFormat, TheLastLineCountsAndEnds) {
  const std::string text = WriteText(Sample());
  EXPECT_THAT(ReadError(Replaced(text, "\nend 4\n", "\nend 5\n")),
              HasSubstr("says that it holds 5 records, and holds 4"));
  EXPECT_THAT(ReadError(text + "winner"), HasSubstr("something follows"));
  EXPECT_THAT(ReadError(text.substr(0, text.size() - 1)),
              HasSubstr("it must end in a line 'end COUNT' with its newline"));
}

}  // namespace
}  // namespace moetune
