#!/bin/sh
# real.sh [BUILD]: builds and runs the suite `real` (see tests/real/run.py) in a build folder, which is made when it is not
# there. Ends with `N passed, N failed, N skipped`. BACKENDAI_REAL_CACHE names the folder where the server's installation is
# kept, BACKENDAI_REAL_TRANSCRIPT the file for the transcript.
cd "$(dirname "$0")/../.." || exit 1
build=${1:-build-real}
[ -e "$build/build.ninja" ] || meson setup "$build" -Doptimization=0 -Dexamples=disabled >"$build.setup.log" 2>&1 ||
    { tail -20 "$build.setup.log"; exit 1; }
ninja -C "$build" tests/real tests/same_program || exit 1
rm -f "$build/meson-logs/testlog.json"
meson test -C "$build" --no-rebuild --print-errorlogs --verbose --suite real
tested=$?
python3 tests/tools/count.py "$build" && [ "$tested" = 0 ]
