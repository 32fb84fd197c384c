#include "kernels/problem.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

struct FusionName {
  Fusion fusion;
  std::string_view name;
};
constexpr std::array kFusionNames = {
    FusionName{kGather, "gather"}, FusionName{kScatter, "scatter"},
    FusionName{kScale, "scale"},   FusionName{kSwiglu, "swiglu"},
    FusionName{kPreact, "preact"}, FusionName{kCombine, "combine"}};

struct RoutingName {
  RoutingKind kind;
  std::string_view name;
};
constexpr std::array kRoutingNames = {RoutingName{kBalanced, "balanced"},
                                      RoutingName{kSoftmax, "softmax"}, RoutingName{kZipf, "zipf"}};
constexpr std::string_view kCountsPrefix = "counts-";

constexpr double kMaxWeights = 1e15;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// "e128" -> 128: a part of the key that is a letter and a number.
absl::StatusOr<int64_t> ParsePart(std::string_view what, std::string_view prefix,
                                  std::string_view part) {
  if (!part.starts_with(prefix)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("problem key: expected '%sNUMBER' (%s), found '%s'", prefix, what, part));
  }
  return ParseInteger(what, part.substr(prefix.size()), 1, kMaxSize);
}

// Which fusions may stand together.
absl::Status CheckFusions(const Shape& s) {
  if (s.Has(kGather) && s.Has(kScatter)) {
    return absl::InvalidArgumentError("fusions 'gather' and 'scatter' cannot stand together");
  }
  if (s.Has(kScale) && !s.Has(kScatter)) {
    return absl::InvalidArgumentError("fusion 'scale' needs 'scatter'");
  }
  if (s.Has(kPreact) && !s.Has(kSwiglu)) {
    return absl::InvalidArgumentError("fusion 'preact' needs 'swiglu'");
  }
  if (s.Has(kSwiglu) && (s.fusions & ~(kGather | kSwiglu | kPreact)) != 0) {
    return absl::InvalidArgumentError("fusion 'swiglu' stands only with 'gather' and 'preact'");
  }
  if (s.Has(kSwiglu) && s.n % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "fusion 'swiglu' needs an even n, half of it gate and half up, not %d", s.n));
  }
  if (s.Has(kCombine) && s.fusions != kCombine) {
    return absl::InvalidArgumentError(
        "fusion 'combine' stands alone: it scatters and scales by itself");
  }
  return absl::OkStatus();
}

// The parts of the key from eE on.
absl::Status ParseSizes(std::vector<std::string_view> parts, Problem& problem) {
  Shape& shape = problem.shape;
  ASSIGN_OR_RETURN(shape.experts, ParsePart("experts", "e", parts[3]));
  const size_t cross = parts[4].find('x');
  if (cross == std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "problem key: expected 'tTOKENSxTOP_K', such as t1024x8, found '%s'", parts[4]));
  }
  ASSIGN_OR_RETURN(problem.tokens, ParsePart("tokens", "t", parts[4].substr(0, cross)));
  ASSIGN_OR_RETURN(shape.top_k, ParsePart("top_k", "x", parts[4].substr(cross)));
  ASSIGN_OR_RETURN(shape.n, ParsePart("n", "n", parts[5]));
  ASSIGN_OR_RETURN(shape.k, ParsePart("k", "k", parts[6]));
  problem.rows = problem.tokens * shape.top_k;
  size_t next = 7;
  if (next < parts.size() && parts[next].starts_with('r')) {
    ASSIGN_OR_RETURN(problem.rows, ParsePart("rows", "r", parts[next]));
    ++next;
  }
  if (next < parts.size()) {
    ASSIGN_OR_RETURN(problem.routing, ParseRouting(parts[next]));
    ++next;
  }
  if (next < parts.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("problem key: '%s' stands after the routing", parts[next]));
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view DtypeName(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBf16:
      return "bf16";
    case Dtype::kFp16:
      return "fp16";
    case Dtype::kFp32:
      return "fp32";
  }
  return "?";
}

int DtypeBytes(Dtype dtype) { return dtype == Dtype::kFp32 ? 4 : 2; }

int64_t OutputRows(const Problem& problem) {
  const Shape& shape = problem.shape;
  if (shape.Has(kCombine)) return problem.tokens;
  return shape.Has(kScatter) ? problem.tokens * shape.top_k : problem.rows;
}

int64_t OutputColumns(const Shape& shape) { return shape.Has(kSwiglu) ? shape.n / 2 : shape.n; }

int64_t WorkspaceBytes(const Problem& problem) {
  const Shape& shape = problem.shape;
  if (!shape.Has(kCombine)) return 0;
  return problem.tokens * shape.top_k * shape.n * DtypeBytes(shape.output);
}

std::string_view OpName(OpKind op) {
  switch (op) {
    case OpKind::kForward:
      return "forward";
  }
  return "?";
}

std::string DtypesText(const Shape& shape) {
  std::string text(DtypeName(shape.dtype));
  if (shape.output != shape.dtype) text += absl::StrFormat("-%s", DtypeName(shape.output));
  return text;
}

std::string FusionsText(Fusions fusions) {
  std::string text;
  for (const FusionName& entry : kFusionNames) {
    if ((fusions & entry.fusion) == 0) continue;
    if (!text.empty()) text += '+';
    text += entry.name;
  }
  return text.empty() ? "plain" : text;
}

std::string RoutingText(const Routing& routing) {
  std::string text;
  for (const RoutingName& entry : kRoutingNames) {
    if ((routing.kinds & entry.kind) == 0) continue;
    if (!text.empty()) text += '+';
    text += entry.name;
  }
  if ((routing.kinds & kCounts) != 0) {
    if (!text.empty()) text += '+';
    text += absl::StrFormat("%s%08x", kCountsPrefix, routing.counts_hash);
  }
  return text;
}

std::string ProblemKey(const Problem& problem) {
  const Shape& s = problem.shape;
  std::string key =
      absl::StrFormat("%s/%s/%s/e%d/t%dx%d/n%d/k%d", OpName(s.op), DtypesText(s),
                      FusionsText(s.fusions), s.experts, problem.tokens, s.top_k, s.n, s.k);
  if (problem.rows != problem.tokens * s.top_k) key += absl::StrFormat("/r%d", problem.rows);
  return key + '/' + RoutingText(problem.routing);
}

absl::StatusOr<OpKind> ParseOp(std::string_view text) {
  if (text == "forward") return OpKind::kForward;
  return UnknownName("op", text, {"forward"});
}

absl::Status ParseDtypes(std::string_view text, Shape& shape) {
  const auto parse = [](std::string_view name) -> absl::StatusOr<Dtype> {
    for (Dtype dtype : {Dtype::kBf16, Dtype::kFp16, Dtype::kFp32}) {
      if (name == DtypeName(dtype)) return dtype;
    }
    return UnknownName("dtype", name, {"bf16", "fp16", "fp32", "bf16-fp32", "fp16-fp32"});
  };
  const size_t dash = text.find('-');
  ASSIGN_OR_RETURN(shape.dtype, parse(text.substr(0, dash)));
  shape.output = shape.dtype;
  if (dash == std::string_view::npos) return absl::OkStatus();
  ASSIGN_OR_RETURN(shape.output, parse(text.substr(dash + 1)));
  if (shape.output != Dtype::kFp32 || shape.dtype == Dtype::kFp32) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dtype '%s': only bf16-fp32 and fp16-fp32 name two", text));
  }
  return absl::OkStatus();
}

absl::StatusOr<Fusions> ParseFusions(std::string_view text) {
  if (text == "plain") return Fusions{0};
  Fusions fusions = 0;
  for (std::string_view word : Split(text, '+')) {
    if (word == "plain") {
      return absl::InvalidArgumentError(
          absl::StrFormat("fusions '%s': 'plain' stands alone", text));
    }
    Fusions bit = 0;
    for (const FusionName& entry : kFusionNames) {
      if (word == entry.name) bit = entry.fusion;
    }
    if (bit == 0) {
      return UnknownName("fusion", word,
                         {"plain", "gather", "scatter", "scale", "swiglu", "preact", "combine"});
    }
    if ((fusions & bit) != 0) {
      return absl::InvalidArgumentError(absl::StrFormat("fusion '%s' stands twice", word));
    }
    fusions |= bit;
  }
  return fusions;
}

absl::StatusOr<Routing> ParseRouting(std::string_view text) {
  Routing routing{.kinds = 0};
  for (std::string_view word : Split(text, '+')) {
    uint32_t bit = 0;
    for (const RoutingName& entry : kRoutingNames) {
      if (word == entry.name) bit = entry.kind;
    }
    if (word.starts_with(kCountsPrefix)) {
      bit = kCounts;
      const std::string_view hash = word.substr(kCountsPrefix.size());
      const auto [end, error] =
          std::from_chars(hash.data(), hash.data() + hash.size(), routing.counts_hash, 16);
      if (hash.size() != 8 || error != std::errc() || end != hash.data() + hash.size() ||
          routing.counts_hash == 0) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "routing '%s': counts-HASH takes 8 hexadecimal digits, not all zero", word));
      }
    }
    if (bit == 0) {
      return UnknownName("routing", word, {"balanced", "softmax", "zipf", "counts-HASH"});
    }
    if ((routing.kinds & bit) != 0) {
      return absl::InvalidArgumentError(absl::StrFormat("routing '%s' stands twice", word));
    }
    routing.kinds |= bit;
  }
  return routing;
}

absl::Status ValidateShape(const Shape& s) {
  if (s.experts < 1 || s.top_k < 1 || s.n < 1 || s.k < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("experts, top_k, n and k must be at least 1, not %d, %d, %d and %d",
                        s.experts, s.top_k, s.n, s.k));
  }
  if (std::max({s.experts, s.top_k, s.n, s.k}) > kMaxSize ||
      static_cast<double>(s.experts) * static_cast<double>(s.n) * static_cast<double>(s.k) >
          kMaxWeights) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "experts, top_k, n and k must each be at most %d, and experts * n * k at most %g", kMaxSize,
        kMaxWeights));
  }
  if (s.output != s.dtype && s.output != Dtype::kFp32) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dtype '%s': the output is of the operands' dtype or fp32", DtypesText(s)));
  }
  return CheckFusions(s);
}

absl::Status ValidateProblem(const Problem& p) {
  const Shape& s = p.shape;
  RETURN_IF_ERROR(ValidateShape(s));
  if (p.tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("tokens must be at least 1, not %d", p.tokens));
  }
  if (p.tokens > kMaxSize / s.top_k) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "tokens * top_k must be at most %d, not %d * %d", kMaxSize, p.tokens, s.top_k));
  }
  const int64_t slots = p.tokens * s.top_k;
  if (p.rows < 1 || p.rows > slots) {
    return absl::InvalidArgumentError(
        absl::StrFormat("rows must be from 1 to tokens * top_k = %d, not %d", slots, p.rows));
  }
  if (s.top_k > s.experts && p.rows == slots) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "top_k %d is more than the %d experts; where they are one rank's share, give /rROWS",
        s.top_k, s.experts));
  }
  if (p.routing.kinds == 0 || ((p.routing.kinds & kCounts) != 0) != (p.routing.counts_hash != 0)) {
    return absl::InvalidArgumentError(
        "routing must name at least one kind, and a counts hash exactly when one of them is "
        "counts");
  }
  return absl::OkStatus();
}

absl::StatusOr<Problem> ParseProblem(std::string_view key) {
  const std::vector<std::string_view> parts = Split(key, '/');
  if (parts.size() < 7) {
    return absl::InvalidArgumentError(
        absl::StrFormat("problem key '%s' has %d parts; expected "
                        "OP/DTYPE/FUSIONS/eE/tTxTOPK/nN/kK[/rROWS]/ROUTING, such as "
                        "forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax",
                        key, parts.size()));
  }
  Problem problem;
  ASSIGN_OR_RETURN(problem.shape.op, ParseOp(parts[0]));
  RETURN_IF_ERROR(ParseDtypes(parts[1], problem.shape));
  ASSIGN_OR_RETURN(problem.shape.fusions, ParseFusions(parts[2]));
  RETURN_IF_ERROR(ParseSizes(parts, problem));
  RETURN_IF_ERROR(ValidateProblem(problem));
  return problem;
}

}  // namespace moetune
