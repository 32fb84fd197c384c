#include "kernels/device/scheduler.cuh"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/cuda_emulator.h"

#define EMULATED emulated_scheduler
#define DEVICE_TEXT "kernels/device/scheduler.cuh"
#include "tests/testing/emulated_kernel.inc"
#undef DEVICE_TEXT
#undef EMULATED

namespace moetune {
namespace {

long long RowTiles(const std::vector<int>& counts, int block_m) {
  long long tiles = 0;
  for (const int rows : counts) tiles += CeilDiv(rows, block_m);
  return tiles;
}

TEST(CeilDiv, IsTheLeastMultipleThatCovers) {
  for (long long a = 0; a < 200; ++a) {
    for (long long b = 1; b < 20; ++b) {
      EXPECT_GE(CeilDiv(a, b) * b, a);
      EXPECT_LT(CeilDiv(a, b) * b, a + b);
    }
  }
}

TEST(MaxRowTiles, IsReachedAndNeverExceeded) {
  for (const int block_m : {1, 2, 3, 4}) {
    for (int rows = 0; rows <= 9; ++rows) {
      for (int experts = 1; experts <= 4; ++experts) {
        // Every way to spread the rows: the counts are digits of a number.
        long long most = 0;
        std::vector<int> counts(static_cast<size_t>(experts));
        while (true) {
          if (std::accumulate(counts.begin(), counts.end(), 0) == rows) {
            most = std::max(most, RowTiles(counts, block_m));
          }
          const auto below = std::ranges::find_if(counts, [&](int c) { return c < rows; });
          std::fill(counts.begin(), below, 0);
          if (below == counts.end()) break;
          ++*below;
        }
        EXPECT_EQ(MaxRowTiles(rows, experts, block_m), most)
            << rows << " rows, " << experts << " experts, block_m " << block_m;
      }
    }
  }
}

TEST(MaxRowTiles, GrowsWithRowsAndExperts) {
  for (long long rows = 0; rows < 300; ++rows) {
    for (const long long experts : {1, 2, 7, 128}) {
      EXPECT_LE(MaxRowTiles(rows, experts, 16), MaxRowTiles(rows + 1, experts, 16));
      EXPECT_LE(MaxRowTiles(rows, experts, 16), MaxRowTiles(rows, experts + 1, 16));
    }
  }
  EXPECT_EQ(MaxRowTiles(1LL << 30, 1LL << 30, 128), 1LL << 30);
}

TEST(TileOfExpert, TilesOfAnExpertCoverItsRowsInOrder) {
  for (const int block_m : {16, 64, 128}) {
    for (const int rows : {1, 15, 16, 17, 128, 1000}) {
      int next = 500;
      for (int tile = 0; tile < CeilDiv(rows, block_m); ++tile) {
        const RowTile found = TileOfExpert(3, 500, rows, tile, block_m);
        EXPECT_EQ(found.expert, 3);
        EXPECT_EQ(found.first_row, next);
        EXPECT_GE(found.rows, 1);
        EXPECT_LE(found.rows, block_m);
        next += found.rows;
      }
      EXPECT_EQ(next, 500 + rows);
    }
  }
}

TEST(Raster, VisitsEveryTileOnce) {
  for (const int tiles_m : {1, 2, 7, 8, 9, 16, 33}) {
    for (const int tiles_n : {1, 2, 5, 12}) {
      for (const int group_m : {1, 2, 8}) {
        std::set<std::pair<int, int>> visited;
        for (int index = 0; index < tiles_m * tiles_n; ++index) {
          const TileIndex at = Raster(index, tiles_m, tiles_n, group_m);
          EXPECT_TRUE(at.m >= 0 && at.m < tiles_m && at.n >= 0 && at.n < tiles_n);
          visited.insert({at.m, at.n});
        }
        EXPECT_EQ(visited.size(), static_cast<size_t>(tiles_m * tiles_n))
            << tiles_m << " x " << tiles_n << " by " << group_m;
      }
    }
  }
}

TEST(Raster, WalksAGroupOfRowTilesBeforeTheNextColumn) {
  EXPECT_EQ(Raster(1, 16, 4, 8).m, 1);
  EXPECT_EQ(Raster(1, 16, 4, 8).n, 0);
  EXPECT_EQ(Raster(8, 16, 4, 8).m, 0);
  EXPECT_EQ(Raster(8, 16, 4, 8).n, 1);
  EXPECT_EQ(Raster(1, 16, 4, 1).n, 1) << "a group of one walks n first";
}

// Visits of one grid of CTAs, each of which takes every grid-th tile as persistent kernels do.
struct Visits {
  std::map<std::pair<int, int>, int> tiles;  // (first row, column tile) -> how often
  std::vector<int> rows_of_expert;
  bool stays_in_expert = true;
};

template <typename Count>
Visits Visit(const std::vector<int>& counts, int block_m, int tiles_n, int group_m, int grid) {
  const std::vector<Count> row_counts(counts.begin(), counts.end());
  std::vector<int> first_row(counts.size() + 1);
  std::partial_sum(counts.begin(), counts.end(), first_row.begin() + 1);
  const int experts = static_cast<int>(counts.size());
  Visits visits;
  visits.rows_of_expert.resize(counts.size());
  const absl::Status status = cuda_emulator::Launch({.grid = {grid, 1, 1}, .threads = 32}, [&] {
    emulated_scheduler::TileCursor<Count> cursor(row_counts.data(), experts, tiles_n, block_m);
    emulated_scheduler::RowTile rows;
    int tile_n = 0;
    int tile = static_cast<int>(cuda_emulator::BlockIdx().x);
    for (; cursor.Find(tile, group_m, rows, tile_n); tile += grid) {
      if (cuda_emulator::ThreadIdx().x != tile % 32u) continue;  // one lane speaks for all
      ++visits.tiles[{rows.first_row, tile_n}];
      const auto expert = static_cast<size_t>(rows.expert);
      if (tile_n == 0) visits.rows_of_expert[expert] += rows.rows;
      visits.stays_in_expert &= rows.rows > 0 && rows.first_row >= first_row[expert] &&
                                rows.first_row + rows.rows <= first_row[expert + 1];
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  return visits;
}

template <typename Count>
void ExpectEveryTileOnce(const std::vector<int>& counts, int block_m, int tiles_n, int group_m,
                         int grid) {
  const Visits visits = Visit<Count>(counts, block_m, tiles_n, group_m, grid);
  EXPECT_EQ(static_cast<long long>(visits.tiles.size()), RowTiles(counts, block_m) * tiles_n);
  for (const auto& [tile, times] : visits.tiles) EXPECT_EQ(times, 1);
  EXPECT_EQ(visits.rows_of_expert, counts);
  EXPECT_TRUE(visits.stays_in_expert);
}

// At most `filled` experts have rows, each fewer than `rows_max`.
std::vector<int> RandomCounts(std::mt19937& random, int experts, int filled, unsigned rows_max) {
  std::vector<int> counts(static_cast<size_t>(experts));
  for (int i = 0; i < filled; ++i) {
    counts[random() % counts.size()] = static_cast<int>(random() % rows_max);
  }
  return counts;
}

TEST(TileCursor, VisitsEveryTileOfRandomCountsOnce) {
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 60; ++repeat) {
    const int experts = 1 + static_cast<int>(random() % 100);
    const std::vector<int> counts = RandomCounts(random, experts, 8, 60);
    const int tiles_n = 1 + static_cast<int>(random() % 4);
    const int grid = 1 + static_cast<int>(random() % 9);
    ExpectEveryTileOnce<int>(counts, 16, tiles_n, repeat % 2 == 0 ? 1 : 8, grid);
  }
}

TEST(TileCursor, CountsAThousandExperts) {
  std::mt19937 random(2);
  ExpectEveryTileOnce<int>(RandomCounts(random, 1000, 400, 40), 16, 1, 1, 3);
  ExpectEveryTileOnce<long long>(RandomCounts(random, 1000, 30, 500), 64, 2, 8, 5);
}

TEST(TileCursor, TakesAGridOfOneCtaPerTileAsOneOfAFewCtas) {
  const std::vector<int> counts = {0, 33, 1, 0, 64, 5, 16, 17};
  for (const int grid : {1, 2, 40}) ExpectEveryTileOnce<long long>(counts, 16, 3, 8, grid);
}

TEST(TileCursor, FindsNothingWhereNoExpertHasRows) {
  EXPECT_TRUE(Visit<int>(std::vector<int>(70, 0), 16, 4, 1, 2).tiles.empty());
}

TEST(TileCursor, FindsRowsOfTheLastExpertOfAFullStepAndOfTheNext) {
  for (const size_t expert : {31u, 32u, 63u, 64u}) {
    std::vector<int> counts(65, 0);
    counts[expert] = 20;
    ExpectEveryTileOnce<int>(counts, 16, 1, 1, 1);
  }
}

}  // namespace
}  // namespace moetune
