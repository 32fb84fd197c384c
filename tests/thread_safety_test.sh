#!/bin/bash
# thread_safety_test.sh GENERATED: has clang check the lock annotations of every source that locks.
# GENERATED is the folder of generated headers.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang++ >/dev/null || { echo "clang++ is not installed"; exit 77; }

failed=0 checked=0
for file in $(grep -lr --include='*.h' --include='*.cc' '"db/mutex.h"' db runtime tuner cli); do
  # With a header that of its source, which has the bodies.
  [[ ! -f ${file%.h}.cc ]] || file=${file%.h}.cc
  echo "$file"
  clang++ -std=c++20 -x c++ -fsyntax-only -Wthread-safety -Wno-pragma-once-outside-header -Werror \
    -I . -isystem "$1" "$file" || failed=1
  checked=$((checked + 1))
done
((checked > 0)) || { echo "FAILED: no file includes db/mutex.h"; failed=1; }
exit "$failed"
