#include "tuner/model.h"

#include <algorithm>
#include <array>

#include "kernels/names.h"

namespace moetune {

std::span<const Model> KnownModels() {
  static const auto* const kModels = new std::array<Model, 4>{{
      {.name = "qwen3-30b-a3b", .experts = 128, .top_k = 8, .hidden = 2048, .intermediate = 768},
      {.name = "llama-4-scout", .experts = 16, .top_k = 1, .hidden = 5120, .intermediate = 8192},
      {.name = "mixtral-8x7b", .experts = 8, .top_k = 2, .hidden = 4096, .intermediate = 14336},
      {.name = "deepseek-v3", .experts = 256, .top_k = 8, .hidden = 7168, .intermediate = 2048},
  }};
  return *kModels;
}

absl::StatusOr<Model> FindModel(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Model& model : KnownModels()) {
    if (model.name == name) return model;
    known.push_back(model.name);
  }
  return UnknownName("model", name, known);
}

std::vector<Shape> ModelShapes(const Model& model, std::span<const Fusions> fusions, Dtype dtype) {
  const Shape gate_up = {.dtype = dtype,
                         .output = dtype,
                         .fusions = kGather,
                         .experts = model.experts,
                         .top_k = model.top_k,
                         .n = 2 * model.intermediate,
                         .k = model.hidden};
  Shape down = gate_up;
  down.fusions = kScatter | kScale;
  down.n = model.hidden;
  down.k = model.intermediate;
  if (fusions.empty()) return {gate_up, down};

  constexpr Fusions kOfGateUp = kGather | kSwiglu | kPreact;
  constexpr Fusions kOfDown = kScatter | kScale | kCombine;
  std::vector<Shape> shapes;
  for (Fusions set : fusions) {
    if ((set & ~kOfGateUp) == 0) {
      shapes.push_back(gate_up);
      shapes.back().fusions = set;
    }
    if ((set & ~kOfDown) == 0) {
      shapes.push_back(down);
      shapes.back().fusions = set;
    }
  }
  return shapes;
}

bool IsOfModel(const Shape& shape, const Model& model) {
  if (shape.top_k != model.top_k || model.experts % shape.experts != 0) return false;
  const std::vector<Shape> of_model = ModelShapes(model, {}, shape.dtype);
  return std::ranges::any_of(of_model,
                             [&](const Shape& s) { return s.n == shape.n && s.k == shape.k; });
}

}  // namespace moetune
