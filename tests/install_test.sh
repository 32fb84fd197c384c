#!/bin/bash
# install_test.sh BUILD: installs BUILD, moves the folder, and checks that the program starts from
# there with the shipped libraries only, that all that its headers include is there, and that a
# project outside finds the package and links what a runtime uses of it.
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/installed" >/dev/null
mv "$work/installed" "$work/moved"
"$work/moved/bin/moetune" --version

# What must come from the machine; everything else lies beside the program.
machine='linux-vdso|ld-linux|/lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so'
if ldd "$work/moved/bin/moetune" | grep -Ev "$machine|$work/moved/"; then
  echo "the libraries above are missing from the installed folder"
  exit 1
fi

include=$work/moved/include/moetune
find "$include" -name '*.h' | while read -r header; do
  "${CXX:-c++}" -std=c++20 -M -I "$include" "$header" >/dev/null
done

mkdir "$work/user"
cat >"$work/user/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(user CXX)
find_package(moetune REQUIRED COMPONENTS remote)
foreach(library runtime runtime_remote)
  add_executable(uses_${library} ${library}.cc)
  target_link_libraries(uses_${library} moetune::${library})
endforeach()
TEXT
# Without a GPU a dispatcher does not open, and nobody listens: the program only has to get there.
cat >"$work/user/runtime.cc" <<'TEXT'
#include "runtime/dispatcher.h"
int main() {
  const auto dispatcher = moetune::Dispatcher::Open({.database = "none.db", .cubin_folder = "."});
  return dispatcher.ok() || !dispatcher.status().message().empty() ? 0 : 1;
}
TEXT
cat >"$work/user/runtime_remote.cc" <<'TEXT'
#include "runtime/remote_source.h"
int main() {
  const auto source = moetune::OpenRemoteSource("127.0.0.1:1");
  return source.ok() || !source.status().message().empty() ? 0 : 1;
}
TEXT
cmake -S "$work/user" -B "$work/user/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null
cmake --build "$work/user/build"
"$work/user/build/uses_runtime"
"$work/user/build/uses_runtime_remote"
