#!/bin/bash
# Installs what a build needs (Debian 12 or Ubuntu 24.04): scripts/setup.sh [--checks]
#   --checks  also what single tests use and else skip: Chromium, which opens a report, and clang,
#             which proves the lock annotations; no failure where the distribution has them not
# Safe to run again: what is there stays.
set -euo pipefail
case "$*" in
  "" | --checks) ;;
  *) echo "usage: scripts/setup.sh [--checks]" >&2; exit 2 ;;
esac

packages=(
  g++ cmake ninja-build pkg-config python3 binutils
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
  libabsl-dev libsqlite3-dev libboost-program-options-dev nlohmann-json3-dev
  zlib1g-dev libssl-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done

# PACKAGE...
install() {
  echo "setup: installing $*"
  as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "setup: not root and no sudo; as root, run: apt-get install $*" >&2
      return 1
    }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

if ((${#missing[@]})); then
  install "${missing[@]}"
else
  echo "setup: all packages are installed"
fi
if [[ $* == --checks ]]; then
  for package in chromium clang; do
    command -v "$package" >/dev/null || install "$package" ||
      echo "setup: no $package here; the tests that use it will be skipped"
  done
fi

# cmake -P runs the same search as the build.
cd "$(dirname "$0")/.."
cuda=$(cmake -D MOETUNE_CUDA=AUTO -P scripts/cuda_headers.cmake 2>&1)
echo "setup: ${cuda#-- }"
if [[ $cuda == *"cannot compile"* ]]; then
  cat <<'TEXT'
setup: to compile and run kernels, have cuda.h and nvrtc.h of CUDA 13.0 (12.8 or later should do)
setup: and libnvrtc at run time. Any of these gives them:
setup:   - the CUDA toolkit 13.0, in its usual place or with CUDA_HOME set to it
setup:   - pip install nvidia-cuda-runtime nvidia-cuda-nvrtc, in a virtual environment (package
setup:     python3-venv) that is active when the build is configured
setup: Without them the build goes on: service, query and import work.
TEXT
fi
