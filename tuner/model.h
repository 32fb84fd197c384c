// The MoE models known by name, and the grouped GEMMs that a model is made of.
#ifndef MOETUNE_TUNER_MODEL_H_
#define MOETUNE_TUNER_MODEL_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/problem.h"

namespace moetune {

struct Model {
  std::string name;
  int64_t experts = 0;
  int64_t top_k = 0;
  int64_t hidden = 0;
  int64_t intermediate = 0;
};

std::span<const Model> KnownModels();
absl::StatusOr<Model> FindModel(std::string_view name);

// The two grouped GEMMs of the expert MLP, with the fusions each is made for:
//   gate_up: gather, n = 2 * intermediate, k = hidden;  down: scatter+scale, n = hidden, k =
//   intermediate.
// `fusions` empty keeps those; else each GEMM is made once for every listed set that applies to it
// (gather, swiglu and preact only to gate_up; scatter, scale and combine only to down; plain to
// both).
std::vector<Shape> ModelShapes(const Model& model, std::span<const Fusions> fusions, Dtype dtype);

// Whether it is one of the model's grouped GEMMs, in any op, dtype and fusions, on all of its
// experts or on one rank's share of them.
bool IsOfModel(const Shape& shape, const Model& model);

}  // namespace moetune

#endif  // MOETUNE_TUNER_MODEL_H_
