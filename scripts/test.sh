#!/bin/bash
# Builds and runs every test: scripts/test.sh [--all]
#   (nothing)  the release build
#   --all      also address + undefined-behaviour sanitizers, and the thread sanitizer for the tests
#              labelled tsan, and what single tests use and else skip (setup.sh --checks)
# Ends with ctest's own summary of each run. Tests that need a GPU show as skipped without one.
set -euo pipefail
cd "$(dirname "$0")/.."

presets=(release)
setup=()
case "$*" in
  "") ;;
  --all) presets+=(asan tsan) setup+=(--checks) ;;
  *) echo "usage: scripts/test.sh [--all]" >&2; exit 2 ;;
esac

scripts/setup.sh "${setup[@]}"

# GCC 12's thread sanitizer does not start where addresses are randomised over more than 28 bits.
fixed_addresses=()
if setarch -R true 2>/dev/null; then fixed_addresses=(setarch -R); fi

failed=0
for preset in "${presets[@]}"; do
  echo "test: building $preset"
  cmake --preset "$preset"
  cmake --build --preset "$preset" --parallel "$(nproc)"
  echo "test: running $preset"
  "${fixed_addresses[@]}" ctest --preset "$preset" --parallel 2 --output-on-failure |
    tee "build/$preset/ctest.log" || failed=1
done

# The release run, which has every test, comes last.
echo
for preset in $(printf '%s\n' "${presets[@]}" | tac); do
  echo "== $preset"
  sed -n '/tests passed/,$p' "build/$preset/ctest.log"
done
exit "$failed"
