#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds what a static program of runnel needs and Debian does not have: mbedTLS with no more than
# platform/mbedtls/small_config.h names, cJSON as an archive, and with "coap" libcoap on that
# mbedTLS. The rest comes from Debian.
#
# usage: small_libraries.sh 2.28|3.6 host|armhf|arm64 [coap]
#        into build/cache/small-VERSION-MACHINE or small-VERSION-MACHINE-coap
#
# Ends with 77 and one line where a source cannot be had. Needs no root.
set -euo pipefail

usage() {
    echo "usage: small_libraries.sh 2.28|3.6 host|armhf|arm64 [coap]" >&2
    exit 2
}

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/made.sh
. "$root/tests/tools/made.sh"
[ $# -eq 2 ] || [ "$#-${3-}" = 3-coap ] || usage
case $1 in
2.28) suite=bookworm config=config.h ;;
3.6) suite=trixie config=mbedtls_config.h ;;
*) usage ;;
esac
case $2 in
host) triple="" board="" ;;
armhf) triple=arm-linux-gnueabihf- board=qemu-armv7 ;;
arm64) triple=aarch64-linux-gnu- board=qemu-aarch64 ;;
*) usage ;;
esac
options=(-DCMAKE_BUILD_TYPE=None -DENABLE_PROGRAMS=OFF -DENABLE_TESTING=OFF -DGEN_FILES=OFF)
if [ -n "$board" ]; then
    "$root/tests/tools/sysroot.sh" "$2"
    options+=("-DCMAKE_TOOLCHAIN_FILE=$root/boards/$board/toolchain.cmake")
fi
prefix=${RUNNEL_TEST_CACHE:-$root/build/cache}/small-$1-$2${3:+-$3}
recipe=$(cat "$0" "$root/platform/mbedtls/small_config.h" | sha256sum | cut -d' ' -f1)
! is_made "$prefix" "$recipe" || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/tests/tools/debian_source.sh" "$suite" mbedtls "$work/mbedtls"
"$root/tests/tools/debian_source.sh" bookworm cjson "$work/cjson"
[ -z "${3-}" ] || "$root/tests/tools/debian_source.sh" bookworm libcoap3 "$work/libcoap"
cd "$work"
flags=(-Os -fPIC -ffunction-sections -fdata-sections)
export CFLAGS="${flags[*]}"
{
    [ -z "${3-}" ] || echo "#define RUNNEL_SMALL_DTLS"
    cat "$root/platform/mbedtls/small_config.h"
} >"mbedtls/include/mbedtls/$config"

make_coap() {
    cmake -G Ninja -S libcoap -B coap "${options[@]}" -DENABLE_DTLS=ON -DDTLS_BACKEND=mbedtls \
        -DENABLE_TCP=OFF -DENABLE_EXAMPLES=OFF -DENABLE_TESTS=OFF -DENABLE_DOCS=OFF \
        -DBUILD_SHARED_LIBS=OFF -DRUNNEL_PREFIX="$work/made" -DCMAKE_PREFIX_PATH="$work/made" \
        -DCMAKE_INSTALL_PREFIX="$work/made" &&
        ninja -C coap install
}

make_all() {
    cmake -G Ninja -S mbedtls -B build "${options[@]}" -DCMAKE_INSTALL_PREFIX="$work/made" &&
        ninja -C build install &&
        "${triple}gcc" "${flags[@]}" -c cjson/cJSON.c -o cJSON.o &&
        "${triple}ar" rcs made/lib/libcjson.a cJSON.o &&
        install -D -m 644 cjson/cJSON.h made/include/cjson/cJSON.h
}

if ! { make_all && { [ -z "${3-}" ] || make_coap; }; } >log 2>&1; then
    tail -n 30 log >&2
    exit 1
fi
keep made "$prefix" "$recipe"
