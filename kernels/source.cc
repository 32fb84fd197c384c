#include "kernels/source.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/registry.h"
#include "kernels/sha256.h"

namespace moetune {
namespace {

std::string_view DeviceTypeName(Dtype dtype) { return DtypeName(dtype); }

std::string Definition(std::string_view name, std::string_view value) {
  return absl::StrFormat("-D%s=%s", name, value);
}

std::vector<std::string> Definitions(const Shape& shape, const Config& compiled,
                                     const ArgTypes& types) {
  const auto fuse = [&](std::string_view name, Fusions any_of) {
    return absl::StrFormat("-DFUSE_%s=%d", name, (shape.fusions & any_of) != 0 ? 1 : 0);
  };
  std::vector<std::string> options = {
      Definition("OPERAND", DeviceTypeName(shape.dtype)),
      Definition("OUTPUT", DeviceTypeName(shape.output)),
      Definition("INDEX", types.index64 ? "long long" : "int"),
      Definition("WEIGHT", types.scale_fp32 ? "fp32" : DeviceTypeName(shape.dtype)),
      // A row on its way to combine is scattered and scaled.
      fuse("GATHER", kGather),
      fuse("SCATTER", kScatter | kCombine),
      fuse("SCALE", kScale | kCombine),
      fuse("SWIGLU", kSwiglu),
      fuse("PREACT", kPreact),
      fuse("COMBINE", kCombine),
  };
  for (const Config::Entry& entry : compiled.entries()) {
    options.push_back(
        Definition(absl::AsciiStrToUpper(entry.first), absl::StrJoin(entry.second, ",")));
  }
  std::ranges::sort(options);
  return options;
}

// Appends the paths that `text` includes in quotes and that are not in `paths` yet.
void AddIncludes(std::string_view text, std::vector<std::string_view>& paths) {
  constexpr std::string_view kInclude = "#include \"";
  for (size_t at = text.find(kInclude); at != text.npos; at = text.find(kInclude, at)) {
    at += kInclude.size();
    const std::string_view path = text.substr(at, text.find('"', at) - at);
    if (std::ranges::find(paths, path) == paths.end()) paths.push_back(path);
  }
}

}  // namespace

std::string StripComments(std::string_view text) {
  std::string code;
  code.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("//")) {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (text.substr(i).starts_with("/*")) {
      i = std::min(text.find("*/", i + 2), text.size() - 2) + 1;
      code += ' ';
    } else if (text[i] == '"' || text[i] == '\'') {
      const char quote = text[i];
      code += quote;
      for (++i; i < text.size() && text[i] != quote; ++i) {
        code += text[i];
        if (text[i] == '\\' && i + 1 < text.size()) code += text[++i];
      }
      if (i < text.size()) code += quote;
    } else {
      code += text[i];
    }
  }
  std::string stripped;
  size_t begin = 0;
  while (begin < code.size()) {
    const size_t end = std::min(code.find('\n', begin), code.size());
    std::string_view line = std::string_view(code).substr(begin, end - begin);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != std::string_view::npos) {
      stripped += line;
      stripped += '\n';
    }
    begin = end + 1;
  }
  return stripped;
}

namespace {

// Of the text at `path` and all that it includes.
std::string TextFingerprint(std::string_view path, std::span<const EmbeddedFile> files) {
  std::vector<std::string_view> reached = {path};
  std::string text;
  for (size_t i = 0; i < reached.size(); ++i) {  // grows as includes are found
    for (const EmbeddedFile& file : files) {
      if (file.path != reached[i]) continue;
      text += absl::StrFormat("%s\n%s", file.path, StripComments(file.text));
      AddIncludes(file.text, reached);
    }
  }
  return Sha256Hex(text);
}

}  // namespace

std::string FamilyFingerprint(const Family& family, std::span<const EmbeddedFile> files) {
  return TextFingerprint(family.source, files);
}

Source PlainSource(std::string_view path) {
  return {.path = path, .options = {}, .fingerprint = TextFingerprint(path, EmbeddedFiles())};
}

namespace {

// Reading and hashing all that a family includes takes a millisecond or two; the embedded text
// never changes.
std::string KnownFingerprint(const Family& family) {
  static const std::map<std::string_view, std::string> known = [] {
    std::map<std::string_view, std::string> fingerprints;
    for (const Family* each : Families()) fingerprints[each->source] = FamilyFingerprint(*each);
    return fingerprints;
  }();
  const auto found = known.find(family.source);
  return found == known.end() ? FamilyFingerprint(family) : found->second;
}

}  // namespace

Source MakeSource(const Shape& shape, const Candidate& candidate, const ArgTypes& types) {
  const Family& family = *candidate.family;
  Source source = {.path = family.source,
                   .options = Definitions(shape, CompiledPart(family, candidate.config), types),
                   .fingerprint = ""};
  source.fingerprint = Sha256Hex(absl::StrFormat("%s\n%s\n%s", KnownFingerprint(family),
                                                 source.path, absl::StrJoin(source.options, "\n")));
  return source;
}

}  // namespace moetune
