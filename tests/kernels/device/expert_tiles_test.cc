#include "kernels/device/expert_tiles.cuh"

#include <array>
#include <map>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/cuda_emulator.h"

#define EMULATED emulated_expert_tiles
#define DEVICE_TEXT "kernels/device/expert_tiles.cuh"
#include "tests/testing/emulated_kernel.inc"
#undef DEVICE_TEXT
#undef EMULATED

namespace moetune {
namespace {

TEST(SplitTokens, HoldsAllRowsInTheFewestTilesAndLeavesNoneEmpty) {
  for (const int granule : {8, 16}) {
    for (const int capacity : {16, 32, 96, 256, 512}) {
      for (int rows = 1; rows <= 1100; ++rows) {
        const TokenSplit split = SplitTokens(rows, capacity, granule);
        EXPECT_EQ(split.tiles, CeilDiv(rows, capacity)) << rows << " rows, capacity " << capacity;
        EXPECT_EQ(split.tokens % granule, 0);
        EXPECT_LE(split.tokens, capacity);
        EXPECT_GE(split.tokens * split.tiles, rows);
        EXPECT_LT(split.tokens * (split.tiles - 1), rows);
      }
    }
  }
  EXPECT_EQ(SplitTokens(0, 128, 8).tiles, 0);
}

TEST(SplitTokens, FillsMoreThanHalfOfEachTileWhereThereAreSeveral) {
  for (int rows = 129; rows <= 2000; ++rows) {
    EXPECT_GT(SplitTokens(rows, 128, 8).tokens, 64) << rows;
  }
}

struct Launch {
  emulated_expert_tiles::TileGrid tiles;
  int clusters;
  bool sort;
};

// How often each (row, column tile) is made, over all CTAs of persistent clusters.
std::map<std::pair<int, int>, int> Visit(const std::vector<int>& counts, const Launch& launch) {
  namespace device = emulated_expert_tiles;
  constexpr int kThreads = 64;
  const int experts = static_cast<int>(counts.size());
  std::map<std::pair<int, int>, int> visits;
  std::vector<device::ExpertTiles> table(counts.size());
  const int cluster = launch.tiles.cluster;
  const int ctas = launch.clusters * cluster;
  const absl::Status status =
      cuda_emulator::Launch({.grid = {ctas, 1, 1}, .threads = kThreads}, [&] {
        device::MakeExpertTable<kThreads>(counts.data(), experts, launch.tiles, launch.sort,
                                          table.data());
        const int cta = static_cast<int>(cuda_emulator::BlockIdx().x);
        device::TableCursor cursor(table.data(), experts);
        device::ExpertTiles entry;
        int index = 0;
        for (int tile = cta / cluster; cursor.Find(tile, entry, index); tile += launch.clusters) {
          const auto made = device::TileOfTokens(entry, index, launch.tiles, cta % cluster);
          EXPECT_LE(made.rows, launch.tiles.capacity);
          if (cuda_emulator::ThreadIdx().x != 0) continue;  // one thread speaks for all
          for (int row = 0; row < made.rows; ++row) ++visits[{made.first_row + row, made.tile_n}];
        }
      });
  EXPECT_TRUE(status.ok()) << status;
  return visits;
}

void ExpectEveryTokenOnce(const std::vector<int>& counts, const Launch& launch) {
  const auto visits = Visit(counts, launch);
  const int rows = std::accumulate(counts.begin(), counts.end(), 0);
  EXPECT_EQ(static_cast<int>(visits.size()), rows * launch.tiles.tiles_n);
  for (const auto& [place, times] : visits) {
    EXPECT_EQ(times, 1) << "row " << place.first << ", column tile " << place.second;
  }
}

TEST(ExpertTable, MakesEveryTokenOfRandomCountsOnce) {
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 40; ++repeat) {
    std::vector<int> counts(1 + random() % 100);
    for (int i = 0; i < 12; ++i) counts[random() % counts.size()] = static_cast<int>(random() % 90);
    const Launch launch = {.tiles = {.tiles_n = 1 + static_cast<int>(random() % 3),
                                     .capacity = repeat % 3 == 0 ? 8 : 32,
                                     .cluster = 1 + repeat / 2 % 2,
                                     .group_m = repeat / 4 % 2 == 0 ? 1 : 3},
                           .clusters = 1 + static_cast<int>(random() % 5),
                           .sort = repeat % 2 == 0};
    ExpectEveryTokenOnce(counts, launch);
  }
}

TEST(ExpertTable, HoldsMoreExpertsThanThreads) {
  std::mt19937 random(2);
  std::vector<int> counts(500);
  for (int& rows : counts) rows = static_cast<int>(random() % 20);
  ExpectEveryTokenOnce(counts, {.tiles = {1, 16, 2, 16}, .clusters = 3, .sort = true});
}

TEST(ExpertTable, IsEmptyWhereNoExpertHasRows) {
  ExpectEveryTokenOnce(std::vector<int>(70),
                       {.tiles = {4, 16, 1, 16}, .clusters = 2, .sort = false});
}

TEST(ExpertTable, SortedTilesOfMostTokensComeFirst) {
  namespace device = emulated_expert_tiles;
  const std::vector<int> counts = {3, 0, 40, 17, 64, 17};
  std::vector<device::ExpertTiles> table(counts.size());
  const absl::Status status = cuda_emulator::Launch({.grid = {1, 1, 1}, .threads = 32}, [&] {
    device::MakeExpertTable<32>(counts.data(), 6, {1, 32, 1, 16}, /*sort=*/true, table.data());
  });
  ASSERT_TRUE(status.ok()) << status;
  // Two tiles of 32, two of 24, two experts with one of 24, one of 8.
  const std::array<int, 6> experts = {4, 2, 3, 5, 0, 1};
  for (size_t i = 0; i < table.size(); ++i) EXPECT_EQ(table[i].expert, experts[i]) << i;
  EXPECT_EQ(table.back().tiles_end, 7);
}

}  // namespace
}  // namespace moetune
