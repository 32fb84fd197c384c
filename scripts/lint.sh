#!/bin/bash
# lint.sh BUILD: the formatting of every source, and the checks of .clang-tidy on those that are not
# tests, with the compile commands in BUILD. A tool that is not installed is named and skipped: only
# clang-format 14 formats as the tree does.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
layers=(kernels db proto runtime tuner cli)
failed=0

if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
  find "${layers[@]}" tests -name '*.h' -o -name '*.cc' -o -name '*.cuh' |
    xargs clang-format --dry-run --Werror || failed=1
else
  echo "lint: skipped formatting, clang-format 14 is not installed"
fi

if command -v clang-tidy >/dev/null; then
  python3 - "$build/compile_commands.json" "${layers[@]}" <<'TEXT' |
import json, os, sys
files = [os.path.relpath(command["file"]) for command in json.load(open(sys.argv[1]))]
print(*[file for file in files if file.split("/")[0] in sys.argv[2:]], sep="\n")
TEXT
    xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet || failed=1
else
  echo "lint: skipped the checks of .clang-tidy, clang-tidy is not installed"
fi
exit "$failed"
