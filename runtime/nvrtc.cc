#include "runtime/nvrtc.h"

#include <dlfcn.h>
#include <nvrtc.h>

#include <filesystem>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/status_macros.h"

// The folder of libnvrtc on the machine that built this; the build gives it.
#ifndef MOETUNE_NVRTC_HINT
#define MOETUNE_NVRTC_HINT ""
#endif

namespace moetune {
namespace {

struct Functions {
  decltype(&nvrtcGetErrorString) error_string;
  decltype(&nvrtcVersion) version;
  decltype(&nvrtcCreateProgram) create;
  decltype(&nvrtcDestroyProgram) destroy;
  decltype(&nvrtcCompileProgram) compile;
  decltype(&nvrtcGetProgramLogSize) log_size;
  decltype(&nvrtcGetProgramLog) log;
  decltype(&nvrtcGetCUBINSize) cubin_size;
  decltype(&nvrtcGetCUBIN) cubin;
};

template <typename Function>
absl::Status Find(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  if (function != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat("libnvrtc is too old: no %s", symbol));
}

std::vector<std::string> PlacesToLook() {
  constexpr const char* kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  std::vector<std::string> places(std::begin(kNames), std::end(kNames));
  if (const std::string folder = MOETUNE_NVRTC_HINT; !folder.empty()) {
    for (const char* name : kNames) places.push_back(folder + "/" + name);
  }
  return places;
}

// NVRTC opens a library of its own by its bare name, which the loader looks for in its usual
// folders alone. Where NVRTC lies elsewhere, so does that one: it is loaded before it is asked for.
void LoadBuiltins(const Functions& f) {
  int major = 0;
  int minor = 0;
  Dl_info nvrtc;
  if (f.version(&major, &minor) != NVRTC_SUCCESS) return;
  if (dladdr(reinterpret_cast<const void*>(f.version), &nvrtc) == 0) return;
  const std::filesystem::path folder = std::filesystem::path(nvrtc.dli_fname).parent_path();
  const std::string name = absl::StrFormat("libnvrtc-builtins.so.%d.%d", major, minor);
  dlopen((folder / name).c_str(), RTLD_NOW | RTLD_LOCAL);  // absent: NVRTC will say so
}

absl::StatusOr<Functions> OpenLibrary() {
  const std::vector<std::string> places = PlacesToLook();
  void* library = nullptr;
  for (const std::string& place : places) {
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
  }
  if (library == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrFormat("NVRTC, which compiles the kernels, was not found; looked for %s",
                        absl::StrJoin(places, ", ")));
  }
  Functions f;
  RETURN_IF_ERROR(Find(library, "nvrtcGetErrorString", f.error_string));
  RETURN_IF_ERROR(Find(library, "nvrtcVersion", f.version));
  RETURN_IF_ERROR(Find(library, "nvrtcCreateProgram", f.create));
  RETURN_IF_ERROR(Find(library, "nvrtcDestroyProgram", f.destroy));
  RETURN_IF_ERROR(Find(library, "nvrtcCompileProgram", f.compile));
  RETURN_IF_ERROR(Find(library, "nvrtcGetProgramLogSize", f.log_size));
  RETURN_IF_ERROR(Find(library, "nvrtcGetProgramLog", f.log));
  RETURN_IF_ERROR(Find(library, "nvrtcGetCUBINSize", f.cubin_size));
  RETURN_IF_ERROR(Find(library, "nvrtcGetCUBIN", f.cubin));
  LoadBuiltins(f);
  return f;  // the library stays open as long as the process
}

const absl::StatusOr<Functions>& Library() {
  static const absl::StatusOr<Functions> functions = OpenLibrary();
  return functions;
}

// Only reached through the table, which is handed out when the library is there.
const Functions& Nvrtc() { return *Library(); }

// A text or an image out of a program: NVRTC tells the size first, a closing zero byte included in
// that of a text.
template <typename SizeFunction, typename ReadFunction>
std::string Read(nvrtcProgram program, SizeFunction size_of, ReadFunction read) {
  size_t size = 0;
  if (size_of(program, &size) != NVRTC_SUCCESS) return {};
  std::string bytes(size, '\0');
  if (read(program, bytes.data()) != NVRTC_SUCCESS) return {};
  return bytes;
}

NvrtcResult CompileProgram(nvrtcProgram program, const std::vector<std::string>& options) {
  std::vector<const char*> arguments;
  for (const std::string& option : options) arguments.push_back(option.c_str());
  const nvrtcResult code =
      Nvrtc().compile(program, static_cast<int>(arguments.size()), arguments.data());
  NvrtcResult result;
  result.log = Read(program, Nvrtc().log_size, Nvrtc().log);
  while (!result.log.empty() && result.log.back() == '\0') result.log.pop_back();
  if (code == NVRTC_SUCCESS) result.cubin = Read(program, Nvrtc().cubin_size, Nvrtc().cubin);
  result.ok = !result.cubin.empty();
  // An option that it does not know leaves the log empty.
  if (!result.ok && result.log.empty()) result.log = Nvrtc().error_string(code);
  return result;
}

NvrtcResult CompileFile(std::string_view path, std::span<const EmbeddedFile> files,
                        const std::vector<std::string>& options) {
  // NVRTC wants texts that end in a zero byte; views of embedded text do not.
  std::vector<std::string> names, texts;
  std::vector<const char*> name_pointers, text_pointers;
  for (const EmbeddedFile& file : files) {
    names.emplace_back(file.path);
    texts.emplace_back(file.text);
  }
  const char* main_text = nullptr;
  for (size_t i = 0; i < files.size(); ++i) {
    name_pointers.push_back(names[i].c_str());
    text_pointers.push_back(texts[i].c_str());
    if (files[i].path == path) main_text = texts[i].c_str();
  }
  if (main_text == nullptr) return {.log = absl::StrFormat("no file %s is embedded", path)};

  nvrtcProgram program = nullptr;
  const nvrtcResult code =
      Nvrtc().create(&program, main_text, std::string(path).c_str(), static_cast<int>(names.size()),
                     text_pointers.data(), name_pointers.data());
  if (code != NVRTC_SUCCESS) return {.log = Nvrtc().error_string(code)};
  NvrtcResult result = CompileProgram(program, options);
  Nvrtc().destroy(&program);
  return result;
}

constexpr NvrtcApi kApi = {
    .version = [](int* major, int* minor) { return int{Nvrtc().version(major, minor)}; },
    .compile = CompileFile,
};

}  // namespace

absl::StatusOr<const NvrtcApi*> OpenNvrtc() {
  RETURN_IF_ERROR(Library().status());
  return &kApi;
}

}  // namespace moetune
