// Source: everything that is compiled for one candidate, and its fingerprint.
//
// Device text is embedded in the program and given to NVRTC as in-memory headers. Host and device
// agree on three things only: the structs in device/args.h, the parameter names passed as -D, and
// the entries extern "C" moe_kernel and moe_combine.
#ifndef MOETUNE_KERNELS_SOURCE_H_
#define MOETUNE_KERNELS_SOURCE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/family.h"

namespace moetune {

struct EmbeddedFile {
  std::string_view path;  // in the repository: "kernels/device/args.h"
  std::string_view text;
};
std::span<const EmbeddedFile> EmbeddedFiles();

// Types that a caller may vary without changing any result: a variant is compiled for each.
struct ArgTypes {
  bool index64 = false;    // row counts and row indices are int64, else int32
  bool scale_fp32 = true;  // scale weights are fp32, else of the activations' dtype

  bool operator==(const ArgTypes&) const = default;
};

struct Source {
  std::string_view path;             // the family's .cuh
  std::vector<std::string> options;  // -D definitions, sorted; no architecture
  std::string fingerprint;           // hex SHA-256 of all embedded text it can reach + options
};

// The source of `candidate` for every problem of the op, dtypes and fusions in `shape`: neither its
// sizes nor the parameters that are given at launch enter.
Source MakeSource(const Shape& shape, const Candidate& candidate, const ArgTypes& types = {});

// The source of a text that is no family's: without options.
Source PlainSource(std::string_view path);

// Hex SHA-256 of a family's text and the device headers it includes, comments and blank lines
// stripped: the version of the kernel that a stored measurement belongs to.
std::string FamilyFingerprint(const Family& family,
                              std::span<const EmbeddedFile> files = EmbeddedFiles());

// C++ comments and blank lines removed, string and character literals kept.
std::string StripComments(std::string_view text);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_SOURCE_H_
