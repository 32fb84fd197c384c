// Problem: one grouped GEMM of a mixture-of-experts layer, as typed fields and as a canonical key.
//
//   OP/DTYPE/FUSIONS/eE/tTxTOPK/nN/kK[/rROWS]/ROUTING
//   forward/bf16/gather/e128/t1024x8/n1536/k2048/softmax
//
// n and k are those of the stored weights (E, n, k), in every op. The grammar is in
// docs/database.md.
#ifndef MOETUNE_KERNELS_PROBLEM_H_
#define MOETUNE_KERNELS_PROBLEM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace moetune {

enum class OpKind : uint8_t { kForward };  // Y = X Wᵀ per expert

enum class Dtype : uint8_t { kBf16, kFp16, kFp32 };

// What the kernel fuses; a set, written joined by '+' in this order, or "plain".
enum Fusion : uint32_t {
  kGather = 1 << 0,   // A rows are read through the routing index: row = index[r] / top_k
  kScatter = 1 << 1,  // output row r goes to row index[r]
  kScale = 1 << 2,    // y = cast(cast(acc) * weight), with scatter
  // y = cast(silu(gate) * up), W's first n / 2 rows being those of gate, the others those of up
  kSwiglu = 1 << 3,
  kPreact = 1 << 4,   // with swiglu: gate and up are written too
  kCombine = 1 << 5,  // y[t] = the sum of the token's rows, each scattered and scaled first
};
using Fusions = uint32_t;

// How tokens spread over experts when tuning. A set: several kinds make one problem whose winner
// has the least worst ratio over them. At most one captured histogram, named by the hash of its
// counts.
enum RoutingKind : uint32_t {
  kBalanced = 1 << 0,
  kSoftmax = 1 << 1,
  kZipf = 1 << 2,
  kCounts = 1 << 3,
};
struct Routing {
  uint32_t kinds = kSoftmax;
  uint32_t counts_hash = 0;  // non-zero exactly when kinds has kCounts

  bool operator==(const Routing&) const = default;
};

// The problem without its size in tokens: what one loaded kernel and one tuning curve belong to.
struct Shape {
  OpKind op = OpKind::kForward;
  Dtype dtype = Dtype::kBf16;   // of the operands
  Dtype output = Dtype::kBf16;  // equal to dtype, or kFp32
  Fusions fusions = 0;
  int64_t experts = 0;  // those present on this device
  int64_t top_k = 0;
  int64_t n = 0;
  int64_t k = 0;

  bool Has(Fusion fusion) const { return (fusions & fusion) != 0; }
  bool ReadsIndex() const { return (fusions & (kGather | kScatter | kCombine)) != 0; }
  bool ReadsScale() const { return (fusions & (kScale | kCombine)) != 0; }
  bool operator==(const Shape&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Shape& s) {
    return H::combine(std::move(h), s.op, s.dtype, s.output, s.fusions, s.experts, s.top_k, s.n,
                      s.k);
  }
};

// The largest experts, top_k, n, k and tokens * top_k: kernels count these in 32 bits, elements
// in 64.
inline constexpr int64_t kMaxSize = int64_t{1} << 30;

struct Problem {
  Shape shape;
  int64_t tokens = 0;
  int64_t rows = 0;  // routed rows: tokens * top_k, or fewer where the experts are one rank's share
  Routing routing;

  bool operator==(const Problem&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Problem& p) {
    return H::combine(std::move(h), p.shape, p.tokens, p.rows, p.routing.kinds,
                      p.routing.counts_hash);
  }
};

// The output tensor y is (OutputRows, OutputColumns), rows that a launch leaves alone included.
int64_t OutputRows(const Problem& problem);
int64_t OutputColumns(const Shape& shape);

// Device memory that a launch needs beside its tensors, args.workspace: with combine the rows of
// all slots, else 0.
int64_t WorkspaceBytes(const Problem& problem);

// The canonical text key. ParseProblem(ProblemKey(p)) == p for every valid p.
std::string ProblemKey(const Problem& problem);

// Parses and validates a key. A missing ROUTING reads as softmax. Errors name the part that is
// wrong, its value and what is allowed there.
absl::StatusOr<Problem> ParseProblem(std::string_view key);

// What makes a Problem valid: positive sizes, legal fusions, and rows that fit tokens and top_k.
absl::Status ValidateProblem(const Problem& problem);
absl::Status ValidateShape(const Shape& shape);

std::string_view DtypeName(Dtype dtype);
std::string_view OpName(OpKind op);
std::string DtypesText(const Shape& shape);       // "bf16" or "bf16-fp32"
std::string FusionsText(Fusions fusions);         // "scatter+scale" or "plain"
std::string RoutingText(const Routing& routing);  // "softmax+zipf"

absl::StatusOr<OpKind> ParseOp(std::string_view text);
absl::Status ParseDtypes(std::string_view text, Shape& shape);  // sets dtype and output
absl::StatusOr<Fusions> ParseFusions(std::string_view text);
absl::StatusOr<Routing> ParseRouting(std::string_view text);

int DtypeBytes(Dtype dtype);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_PROBLEM_H_
