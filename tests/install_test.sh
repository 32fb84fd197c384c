#!/bin/bash
# install_test.sh BUILD: installs BUILD, moves the folder, and checks that the program starts from
# there with the shipped libraries only, and that a project outside finds and links the package.
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

mkdir "$work/user"
cat >"$work/user/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(user CXX)
find_package(moetune REQUIRED COMPONENTS remote)
foreach(library runtime runtime_remote)
  add_executable(uses_${library} main.cc)
  target_link_libraries(uses_${library} moetune::${library})
endforeach()
TEXT
cat >"$work/user/main.cc" <<'TEXT'
#include "kernels/registry.h"
#include "runtime/dispatcher.h"
int main() { return moetune::Families().empty() ? 1 : 0; }
TEXT
cmake -S "$work/user" -B "$work/user/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null
cmake --build "$work/user/build"
"$work/user/build/uses_runtime"
"$work/user/build/uses_runtime_remote"
