#include "cli/peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kHeader[] =
    "model,tokens,routing,op,gemm,fusion,floor_us,best_peer,best_us,cublas_loop,dense,torch,vllm\n";

absl::StatusOr<std::vector<PeerRow>> Read(const std::string& rows) {
  return ReadPeers(kHeader + rows);
}

TEST(Peers, ARowIsTheProblemOfItsModel) {
  const auto rows = Read(
      "qwen3-30b-a3b,1024,softmax,forward,gate_up,gather,194.1,vllm,226.0,,,288.0,226.0\n"
      "qwen3-30b-a3b,4096,balanced,forward,down,scatter+scale,136,vllm,250.8,,,513,250.8\r\n"
      "mixtral-8x7b,16,softmax,forward,down,plain,218.8,torch,240.5,,16.2,240.5,\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ(ProblemKey((*rows)[0].problem), "forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax");
  EXPECT_EQ(ProblemKey((*rows)[1].problem),
            "forward/bf16/scatter+scale/e128/t4096x8/n2048/k768/balanced");
  EXPECT_EQ(ProblemKey((*rows)[2].problem), "forward/bf16/plain/e8/t16x2/n4096/k14336/softmax");
  EXPECT_THAT((*rows)[0].times, ElementsAre(Pair("torch", 288.0), Pair("vllm", 226.0)));
  EXPECT_THAT((*rows)[2].times, ElementsAre(Pair("dense", 16.2), Pair("torch", 240.5)));
}

TEST(Peers, RowsOfOpsThatDoNotExistYetAreLeftOut) {
  const auto rows = Read("qwen3-30b-a3b,64,softmax,transpose,gate_up,plain,1,vllm,2,,,3,2\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(rows->empty());
}

TEST(Peers, CapturedRowCountsFindTheSoftmaxRow) {
  const auto rows = Read("qwen3-30b-a3b,1024,softmax,forward,gate_up,gather,1,vllm,2,,,3,2\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  const auto find = [&](const char* key) { return FindPeers(*rows, ProblemOf(key)); };
  EXPECT_NE(find("forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax"), nullptr);
  EXPECT_NE(find("forward/bf16/gather/e128/t1024x8/n1536/k2048/counts-0000abcd"), nullptr);
  EXPECT_EQ(find("forward/bf16/gather/e128/t1024x8/n1536/k2048/balanced"), nullptr);
  EXPECT_EQ(find("forward/bf16/plain/e128/t1024x8/n1536/k2048/softmax"), nullptr);
  EXPECT_EQ(find("forward/fp16/gather/e128/t1024x8/n1536/k2048/softmax"), nullptr);
}

TEST(Peers, AnErrorNamesTheLineAndTheCell) {
  struct Case {
    const char* row;
    const char* error;
  };
  for (const Case& c : {
           Case{"qwen3-30b-a3,16,softmax,forward,gate_up,gather,1,v,2,,,3,2\n",
                "did you mean 'qwen3-30b-a3b'"},
           Case{"qwen3-30b-a3b,16,softmax,forward,gateup,gather,1,v,2,,,3,2\n",
                "did you mean 'gate_up'"},
           Case{"qwen3-30b-a3b,0,softmax,forward,gate_up,gather,1,v,2,,,3,2\n", "tokens '0'"},
           Case{"qwen3-30b-a3b,16,soft,forward,gate_up,gather,1,v,2,,,3,2\n", "routing 'soft'"},
           Case{"qwen3-30b-a3b,16,softmax,forward,down,gather,1,v,2,,,3,2\n",
                "no down is made with fusion 'gather'"},
           Case{"qwen3-30b-a3b,16,softmax,forward,gate_up,gather,1,v,2,,,fast,2\n",
                "torch 'fast' is no time"},
           Case{"qwen3-30b-a3b,16,softmax,forward,gate_up,gather,1,v,2,,,-3,2\n",
                "torch '-3' is no time"},
           Case{"qwen3-30b-a3b,16,softmax\n", "3 cells, but 13 columns"},
       }) {
    const absl::Status status = Read(c.row).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2: "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.error));
  }
  EXPECT_THAT(std::string(ReadPeers("problem,us\n").status().message()),
              HasSubstr("the columns must be model,tokens,"));
  EXPECT_FALSE(ReadPeers("").ok());
}

TEST(Peers, TheLoopAndTheSingleProductAreNoContest) {
  EXPECT_TRUE(ReadsCountsOnDevice("torch"));
  EXPECT_FALSE(ReadsCountsOnDevice("cublas_loop"));
  EXPECT_FALSE(ReadsCountsOnDevice("dense"));
}

TEST(Baseline, TimesAreReadByProblemAndOtherLinesAreNot) {
  const auto baseline = ReadBaseline(
      "{\"ceiling\": \"copy\", \"gbps\": 4300}\n"
      "{\"problem\": \"a\", \"us\": {\"torch\": 41.5, \"triton\": 30}, \"parts_us\": {\"sum\": "
      "3}}\n"
      "{\"problem\": \"b\", \"error\": \"out of memory\"}\n");
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  ASSERT_EQ(baseline->size(), 1u);
  EXPECT_THAT(baseline->at("a").times, ElementsAre(Pair("torch", 41.5), Pair("triton", 30.0)));
  EXPECT_THAT(baseline->at("a").parts, ElementsAre(Pair("sum", 3.0)));
}

TEST(Baseline, AnErrorNamesTheLine) {
  for (const char* lines : {"{}\ntorch 41\n", "{}\n{\"problem\": 1, \"us\": {}}\n",
                            "{}\n{\"problem\": \"a\", \"us\": {\"torch\": \"fast\"}}\n",
                            "{}\n{\"problem\": \"a\", \"us\": {}, \"parts_us\": 3}\n"}) {
    EXPECT_THAT(std::string(ReadBaseline(lines).status().message()), HasSubstr("line 2: "));
  }
}

}  // namespace
}  // namespace moetune
