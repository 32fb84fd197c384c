#include "cli/peers.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"
#include "tuner/model.h"

namespace moetune {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 9> kColumns = {
    "model", "tokens", "routing", "op", "gemm", "fusion", "floor_us", "best_peer", "best_us"};

std::vector<std::string> SplitCells(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

absl::StatusOr<double> ParseTime(std::string_view peer, const std::string& text) {
  double us = 0;
  if (absl::SimpleAtod(text, &us) && us > 0 && us < 1e12) return us;
  return absl::InvalidArgumentError(absl::StrFormat("%s '%s' is no time in µs", peer, text));
}

// The GEMM of a model by its name in the file.
absl::StatusOr<Shape> FindShape(const std::string& model_name, const std::string& gemm,
                                const std::string& fusion) {
  ASSIGN_OR_RETURN(const Model model, FindModel(model_name));
  ASSIGN_OR_RETURN(const Fusions fusions, ParseFusions(fusion));
  if (gemm != "gate_up" && gemm != "down") return UnknownName("gemm", gemm, {"gate_up", "down"});
  const int64_t k = gemm == "down" ? model.intermediate : model.hidden;
  for (const Shape& shape : ModelShapes(model, {&fusions, 1}, Dtype::kBf16)) {
    if (shape.k == k) return shape;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("no %s is made with fusion '%s'", gemm, fusion));
}

// `cells` are those of kColumns at least.
absl::StatusOr<PeerRow> ReadRow(const std::vector<std::string>& header,
                                const std::vector<std::string>& cells, OpKind op) {
  PeerRow row;
  Problem& problem = row.problem;
  ASSIGN_OR_RETURN(problem.shape, FindShape(cells[0], cells[4], cells[5]));
  problem.shape.op = op;
  ASSIGN_OR_RETURN(problem.tokens, ParseInteger("tokens", cells[1], 1, kMaxSize));
  problem.rows = problem.tokens * problem.shape.top_k;
  ASSIGN_OR_RETURN(problem.routing, ParseRouting(cells[2]));
  for (size_t i = kColumns.size(); i < cells.size(); ++i) {
    if (cells[i].empty()) continue;
    ASSIGN_OR_RETURN(row.times[header[i]], ParseTime(header[i], cells[i]));
  }
  return row;
}

absl::Status CheckHeader(const std::vector<std::string>& header) {
  if (header.size() > kColumns.size() &&
      std::equal(kColumns.begin(), kColumns.end(), header.begin())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "line 1: the columns must be %s and then one for each peer", absl::StrJoin(kColumns, ",")));
}

// Times by name; none where `json` has none.
absl::StatusOr<std::map<std::string, double>> ReadTimes(const Json& json, const char* key) {
  const Json times = json.value(key, Json::object());
  if (times.is_object() &&
      std::all_of(times.begin(), times.end(), [](const Json& us) { return us.is_number(); })) {
    return times.get<std::map<std::string, double>>();
  }
  return absl::InvalidArgumentError(absl::StrFormat("\"%s\" must be an object of times", key));
}

absl::Status AtLine(int line, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrFormat("line %d: %s", line, status.message()));
}

}  // namespace

bool ReadsCountsOnDevice(std::string_view peer) { return peer != "cublas_loop" && peer != "dense"; }

absl::StatusOr<std::vector<PeerRow>> ReadPeers(std::string_view csv) {
  std::istringstream lines{std::string(csv)};
  std::string line;
  std::getline(lines, line);
  const std::vector<std::string> header = SplitCells(line);
  RETURN_IF_ERROR(CheckHeader(header));
  std::vector<PeerRow> rows;
  for (int number = 2; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    const std::vector<std::string> cells = SplitCells(line);
    if (cells.size() != header.size()) {
      return AtLine(number, absl::InvalidArgumentError(absl::StrFormat(
                                "%d cells, but %d columns", cells.size(), header.size())));
    }
    const absl::StatusOr<OpKind> op = ParseOp(cells[3]);
    if (!op.ok()) continue;
    absl::StatusOr<PeerRow> row = ReadRow(header, cells, *op);
    if (!row.ok()) return AtLine(number, row.status());
    rows.push_back(*std::move(row));
  }
  return rows;
}

const PeerRow* FindPeers(const std::vector<PeerRow>& rows, const Problem& problem) {
  Problem asked = problem;
  if (asked.routing.kinds == kCounts) asked.routing = {};
  for (const PeerRow& row : rows) {
    if (row.problem == asked) return &row;
  }
  return nullptr;
}

absl::StatusOr<Baseline> ReadBaseline(std::string_view text) {
  std::istringstream lines{std::string(text)};
  std::string line;
  Baseline baseline;
  for (int number = 1; std::getline(lines, line); ++number) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      return AtLine(number, absl::InvalidArgumentError("is no JSON object"));
    }
    if (!json.contains("problem") || !json.contains("us")) continue;
    if (!json["problem"].is_string()) {
      return AtLine(number, absl::InvalidArgumentError("\"problem\" must be a key"));
    }
    const auto times = ReadTimes(json, "us");
    if (!times.ok()) return AtLine(number, times.status());
    const auto parts = ReadTimes(json, "parts_us");
    if (!parts.ok()) return AtLine(number, parts.status());
    baseline[json["problem"].get<std::string>()] = {.times = *times, .parts = *parts};
  }
  return baseline;
}

}  // namespace moetune
