# Turns text files into a C++ source that carries them (run with cmake -P):
#   ROOT      the repository; each file is known by its path below it
#   FILES     paths relative to ROOT, separated by '|'
#   HEADER    the header that declares FUNCTION
#   FUNCTION  std::span<const EmbeddedFile> FUNCTION(), in namespace moetune
#   OUTPUT    the source to write
#
# Compilers may refuse long string literals, so a text becomes adjacent literals of at most
# 16,000 bytes, cut at line ends.
set(literal_bytes_max 16000)
set(open "R\"embedded(")
set(close ")embedded\"")

function(append_literals text)
  string(LENGTH "${text}" left)
  while(left GREATER literal_bytes_max)
    string(SUBSTRING "${text}" 0 ${literal_bytes_max} piece)
    string(FIND "${piece}" "\n" cut REVERSE)
    math(EXPR cut "${cut} + 1")
    if(cut EQUAL 0)
      message(FATAL_ERROR "a line of more than ${literal_bytes_max} bytes cannot be embedded")
    endif()
    string(SUBSTRING "${text}" 0 ${cut} piece)
    string(SUBSTRING "${text}" ${cut} -1 text)
    string(APPEND code "${open}${piece}${close}\n")
    string(LENGTH "${text}" left)
  endwhile()
  string(APPEND code "${open}${text}${close}")
  set(code "${code}" PARENT_SCOPE)
endfunction()

string(REPLACE "|" ";" files "${FILES}")
list(LENGTH files count)
set(code "// Written by kernels/embed.cmake.\n#include \"${HEADER}\"\n\n#include <array>\n\n")
string(APPEND code "namespace moetune {\nnamespace {\n\n")
string(APPEND code "constexpr std::array<EmbeddedFile, ${count}> kFiles = {{\n")
foreach(file IN LISTS files)
  file(READ "${ROOT}/${file}" text)
  string(APPEND code "{\"${file}\",\n")
  append_literals("${text}")
  string(APPEND code "},\n")
endforeach()
string(APPEND code "}};\n\n}  // namespace\n\n")
string(APPEND code "std::span<const EmbeddedFile> ${FUNCTION}() { return kFiles; }\n\n")
string(APPEND code "}  // namespace moetune\n")
file(WRITE "${OUTPUT}" "${code}")
