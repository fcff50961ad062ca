#!/bin/sh
# Builds and runs the first example: Python code in a compute session, on the cluster that BACKEND_ENDPOINT,
# BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY name, else on the embedded gateway. Installs what is missing on Debian and
# its relatives. Another example: sh examples/run.sh NAME [ARGUMENTS]
set -eu
cd "$(dirname "$0")/.."
name=${1:-hello}
[ $# -eq 0 ] || shift

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    missing=
    for package in g++ pkg-config python3 libcpp-httplib-dev nlohmann-json3-dev libssl-dev zlib1g-dev; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        echo "installing:$missing" >&2
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
fi

if [ ! -e "examples/$name.cpp" ]; then
    echo "there is no example $name; there are: $(cd examples && ls *.cpp | sed 's/\.cpp$//' | tr '\n' ' ')" >&2
    exit 2
fi
echo "building examples/$name.cpp ..." >&2
program=$(mktemp)
trap 'rm -f "$program"' EXIT
# shellcheck disable=SC2046
standard=c++17
[ "$name" != coroutine ] || standard=c++20
${CXX:-g++} "-std=$standard" -Iinclude "examples/$name.cpp" -o "$program" \
    $(pkg-config --cflags --libs cpp-httplib 2>/dev/null || echo -DCPPHTTPLIB_OPENSSL_SUPPORT) -lssl -lcrypto -lz -pthread
"$program" "$@"
