#!/bin/bash
# thread_safety_test.sh GENERATED: has clang check the lock annotations of every source that locks.
# GENERATED is the folder of generated headers.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang++ >/dev/null || { echo "clang++ is not installed"; exit 77; }

failed=0
for header in $(grep -lr --include='*.h' --include='*.cc' '"db/mutex.h"' db runtime tuner cli); do
  source=${header%.h}
  source=${source%.cc}.cc
  [[ -f $source ]] || continue
  echo "$source"
  clang++ -std=c++20 -fsyntax-only -Wthread-safety -Werror -I . -isystem "$1" "$source" || failed=1
done
exit "$failed"
