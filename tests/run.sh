#!/bin/sh
# Sets up, builds and tests; on Debian and its relatives installs what is missing first. Ends with
# `N passed, N failed, N skipped` and exits non-zero when anything failed. BUILD names another build folder, and
# MESON_ARGS holds more arguments for `meson setup`.
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    missing=
    # python3-aiohttp runs the official Python client against the gateway.
    for package in g++ meson ninja-build pkg-config python3 python3-aiohttp libcpp-httplib-dev nlohmann-json3-dev \
        libssl-dev zlib1g-dev doctest-dev libcli11-dev curl $([ -e include/backendai/transport/curl.hpp ] && echo libcurl4-openssl-dev); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        echo "installing:$missing"
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -qq &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
            { echo "Why: installing failed. Fix: install by hand:$missing"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    fi
fi

fail() { echo "$1 failed"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
if [ -e "$build/build.ninja" ]; then
    meson setup --reconfigure "$build" >/dev/null || fail "meson setup"
else
    # shellcheck disable=SC2086
    meson setup "$build" ${MESON_ARGS:-} || fail "meson setup"
fi
ninja -C "$build" || fail "the build"
rm -f "$build/meson-logs/testlog.json"
meson test -C "$build" --no-rebuild --print-errorlogs
tested=$?
python3 tests/tools/count.py "$build"
counted=$?
[ "$tested" = 0 ] && [ "$counted" = 0 ]
