#include "tuner/routing.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kernels/sha256.h"
#include "kernels/status_macros.h"
#include "tuner/random.h"

namespace moetune {
namespace {

constexpr int32_t kElsewhere = -1;  // the slot's expert is on another rank, or the slot is dropped

enum Stream : uint64_t { kLogits, kRanks, kWeights, kTokens, kSurplus, kSparse };

// How many experts the whole model has, if this device holds its fair share of them.
int64_t AllExperts(const Problem& problem) {
  const int64_t slots = problem.tokens * problem.shape.top_k;
  const int64_t scaled = (problem.shape.experts * slots + problem.rows - 1) / problem.rows;
  return std::max(scaled, problem.shape.top_k);
}

// Writes the indices of the `chosen.size()` greatest keys, greatest first.
void TopK(std::span<const float> keys, std::span<int32_t> chosen) {
  const auto greater = [&](int32_t a, int32_t b) {
    return keys[a] != keys[b] ? keys[a] > keys[b] : a < b;
  };
  size_t held = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto candidate = static_cast<int32_t>(i);
    if (held == chosen.size() && !greater(candidate, chosen[held - 1])) continue;
    if (held < chosen.size()) ++held;
    size_t place = held - 1;
    for (; place > 0 && greater(candidate, chosen[place - 1]); --place) {
      chosen[place] = chosen[place - 1];
    }
    chosen[place] = candidate;
  }
}

void Softmax(std::span<float> values) {
  const float greatest = *std::max_element(values.begin(), values.end());
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - greatest);
  for (float& value : values) value /= sum;
}

struct Assignment {
  std::vector<int32_t> expert;  // of each slot, in the whole model
  std::vector<float> weights;
};

// Each token takes the top_k greatest of its keys: bias[e] + noise.
template <typename Noise>
Assignment TopKPerToken(const Problem& problem, const std::vector<float>& bias, Noise noise) {
  const int64_t top_k = problem.shape.top_k;
  Assignment result;
  result.expert.resize(problem.tokens * top_k);
  result.weights.resize(problem.tokens * top_k);
  std::vector<float> keys(bias.size());
  for (int64_t token = 0; token < problem.tokens; ++token) {
    for (size_t e = 0; e < keys.size(); ++e) keys[e] = bias[e] + noise();
    const std::span<int32_t> chosen(&result.expert[token * top_k], top_k);
    TopK(keys, chosen);
    for (int64_t j = 0; j < top_k; ++j) result.weights[token * top_k + j] = keys[chosen[j]];
    Softmax({&result.weights[token * top_k], static_cast<size_t>(top_k)});
  }
  return result;
}

std::vector<float> RandomWeights(const Problem& problem, uint64_t seed) {
  Random random{seed, kWeights};
  std::vector<float> weights(problem.tokens * problem.shape.top_k);
  for (float& weight : weights) weight = random.Normal();
  for (int64_t token = 0; token < problem.tokens; ++token) {
    Softmax({&weights[token * problem.shape.top_k], static_cast<size_t>(problem.shape.top_k)});
  }
  return weights;
}

Assignment DrawSoftmax(const Problem& problem, uint64_t seed) {
  Random random{seed, kLogits};
  std::vector<float> bias(AllExperts(problem));
  for (float& value : bias) value = 0.3f * random.Normal();
  return TopKPerToken(problem, bias, [&] { return random.Normal(); });
}

// The greatest of log p + Gumbel noise are a draw without replacement with chances proportional to
// p.
Assignment DrawZipf(const Problem& problem, uint64_t seed) {
  std::vector<int32_t> ranks(AllExperts(problem));
  std::iota(ranks.begin(), ranks.end(), 1);
  Random{seed, kRanks}.Shuffle(std::span(ranks));
  std::vector<float> bias;
  for (int32_t rank : ranks) bias.push_back(-std::log(static_cast<float>(rank)));
  Random random{seed, kLogits};
  Assignment result = TopKPerToken(
      problem, bias, [&] { return static_cast<float>(-std::log(-std::log(random.Uniform()))); });
  result.weights = RandomWeights(problem, seed);
  return result;
}

Assignment DrawBalanced(const Problem& problem, uint64_t seed) {
  Assignment result = {std::vector<int32_t>(problem.tokens * problem.shape.top_k),
                       RandomWeights(problem, seed)};
  const int64_t experts = AllExperts(problem);
  for (size_t slot = 0; slot < result.expert.size(); ++slot) {
    result.expert[slot] = static_cast<int32_t>(slot % experts);
  }
  return result;
}

// Integers proportional to `counts` with the sum `rows`: floors first, then one more for each of
// the greatest remainders.
std::vector<int64_t> ScaleCounts(std::span<const int64_t> counts, int64_t rows) {
  const int64_t sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  std::vector<int64_t> scaled(counts.size());
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  const auto remainder = [&](size_t e) {
    return static_cast<int64_t>(static_cast<__int128>(counts[e]) * rows % sum);
  };
  int64_t missing = rows;
  for (size_t e = 0; e < counts.size(); ++e) {
    scaled[e] = static_cast<int64_t>(static_cast<__int128>(counts[e]) * rows / sum);
    missing -= scaled[e];
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainder(a) > remainder(b); });
  for (int64_t i = 0; i < missing; ++i) ++scaled[order[i]];
  return scaled;
}

// Deals the rows of each expert to consecutive tokens of a shuffled circle: an expert meets a token
// twice only when it has more rows than there are tokens.
std::vector<int32_t> DealCounts(const Problem& problem, std::span<const int64_t> counts,
                                Random& random) {
  const int64_t top_k = problem.shape.top_k;
  std::vector<int32_t> tokens(problem.tokens);
  std::iota(tokens.begin(), tokens.end(), 0);
  random.Shuffle(std::span(tokens));
  std::vector<int32_t> expert(problem.tokens * top_k, kElsewhere);
  int64_t position = 0;
  for (size_t e = 0; e < counts.size(); ++e) {
    for (int64_t i = 0; i < counts[e]; ++i, ++position) {
      const int64_t token = tokens[position % problem.tokens];
      expert[token * top_k + position / problem.tokens] = static_cast<int32_t>(e);
    }
  }
  return expert;
}

// Makes exactly `rows` slots local: drops surplus ones, or calls back some that went elsewhere.
void FitRows(const Problem& problem, uint64_t seed, std::vector<int32_t>& expert) {
  const auto local = static_cast<int32_t>(problem.shape.experts);
  int64_t surplus = -problem.rows;
  for (int32_t& e : expert) {
    if (e >= local) e = kElsewhere;
    surplus += e != kElsewhere;
  }
  if (surplus == 0) return;
  std::vector<int32_t> slots;
  for (size_t slot = 0; slot < expert.size(); ++slot) {
    if ((expert[slot] != kElsewhere) == (surplus > 0)) slots.push_back(static_cast<int32_t>(slot));
  }
  Random random{seed, kSurplus};
  random.Shuffle(std::span(slots));
  for (int64_t i = 0; i < std::abs(surplus); ++i) {
    expert[slots[i]] = surplus > 0 ? kElsewhere : static_cast<int32_t>(random.Below(local));
  }
}

RoutingDraw Group(const Problem& problem, const std::vector<int32_t>& expert,
                  std::vector<float> weights) {
  RoutingDraw draw = {.counts = std::vector<int32_t>(problem.shape.experts),
                      .index = std::vector<int32_t>(problem.rows),
                      .weights = std::move(weights)};
  for (int32_t e : expert) {
    if (e != kElsewhere) ++draw.counts[e];
  }
  std::vector<int64_t> next(problem.shape.experts + 1, 0);
  std::partial_sum(draw.counts.begin(), draw.counts.end(), next.begin() + 1);
  for (size_t slot = 0; slot < expert.size(); ++slot) {
    const size_t group = expert[slot] == kElsewhere ? problem.shape.experts : expert[slot];
    if (next[group] < problem.rows) draw.index[next[group]++] = static_cast<int32_t>(slot);
    if (expert[slot] == kElsewhere) draw.weights[slot] = 0;
  }
  return draw;
}

}  // namespace

uint32_t HistogramHash(std::span<const int64_t> counts) {
  const std::string digest = Sha256Hex(absl::StrJoin(counts, ","));
  const auto hash = static_cast<uint32_t>(std::strtoul(digest.substr(0, 8).c_str(), nullptr, 16));
  return std::max(hash, 1u);
}

int64_t RoutingDraw::RoutedRows() const {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

std::vector<Problem> EachRouting(const Problem& problem) {
  std::vector<Problem> each;
  for (const RoutingKind kind : {kBalanced, kSoftmax, kZipf, kCounts}) {
    if ((problem.routing.kinds & kind) == 0) continue;
    each.push_back(problem);
    each.back().routing = {kind, kind == kCounts ? problem.routing.counts_hash : 0};
  }
  return each;
}

absl::Status CheckRouting(const Problem& problem, const Histograms& histograms) {
  if ((problem.routing.kinds & kCounts) == 0) return absl::OkStatus();
  const std::string name = RoutingText(problem.routing);
  const auto found = histograms.find(problem.routing.counts_hash);
  if (found == histograms.end()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the histogram of routing '%s' is not at hand: give it with --routing counts:FILE", name));
  }
  const std::vector<int64_t>& counts = found->second;
  if (static_cast<int64_t>(counts.size()) != problem.shape.experts) {
    return absl::InvalidArgumentError(
        absl::StrFormat("routing '%s' counts the rows of %d experts, but the problem has %d", name,
                        counts.size(), problem.shape.experts));
  }
  if (std::ranges::any_of(counts, [](int64_t count) { return count < 0; }) ||
      std::ranges::all_of(counts, [](int64_t count) { return count == 0; })) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "routing '%s': row counts must not be negative, and not all of them zero", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<RoutingDraw> DrawRouting(const Problem& problem, uint64_t seed,
                                        const Histograms& histograms) {
  if (std::popcount(problem.routing.kinds) != 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "routing '%s' mixes several kinds, and a draw is of one of them: list them as '%s'",
        RoutingText(problem.routing),
        absl::StrReplaceAll(RoutingText(problem.routing), {{"+", ","}})));
  }
  RETURN_IF_ERROR(CheckRouting(problem, histograms));
  Assignment assignment;
  if (problem.routing.kinds == kBalanced) {
    assignment = DrawBalanced(problem, seed);
  } else if (problem.routing.kinds == kSoftmax) {
    assignment = DrawSoftmax(problem, seed);
  } else if (problem.routing.kinds == kZipf) {
    assignment = DrawZipf(problem, seed);
  } else {
    Random random{seed, kTokens};
    const std::vector<int64_t>& counts = histograms.at(problem.routing.counts_hash);
    assignment = {DealCounts(problem, ScaleCounts(counts, problem.rows), random),
                  RandomWeights(problem, seed)};
  }
  FitRows(problem, seed, assignment.expert);
  return Group(problem, assignment.expert, std::move(assignment.weights));
}

RoutingDraw DrawSparseRouting(const Problem& problem, uint64_t seed) {
  Random random{seed, kSparse};
  const int64_t experts = problem.shape.experts;
  std::vector<int32_t> open;
  for (int64_t e = 1; e + 1 < experts; ++e) open.push_back(static_cast<int32_t>(e));
  random.Shuffle(std::span(open));
  open.resize((open.size() + 1) / 2);
  if (open.empty()) open.push_back(0);

  // Room is left for at least one row, so a lone expert of one row is empty here.
  int64_t rows = problem.rows - std::max<int64_t>(1, problem.rows / 16);
  std::vector<int64_t> counts(experts, 0);
  if (open.size() > 1 && rows > 0) {
    counts[open.back()] = 1;
    open.pop_back();
    --rows;
  }
  std::vector<int64_t> shares;
  for (size_t i = 0; i < open.size(); ++i) {
    shares.push_back(static_cast<int64_t>(1e6 / static_cast<double>(i + 1)));
  }
  const std::vector<int64_t> scaled = ScaleCounts(shares, rows);
  for (size_t i = 0; i < open.size(); ++i) counts[open[i]] = scaled[i];

  return Group(problem, DealCounts(problem, counts, random), RandomWeights(problem, seed));
}

}  // namespace moetune
