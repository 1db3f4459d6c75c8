#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds mbedTLS 3.6 from Debian's source into build/cache/mbedtls3: static, with threads, so with
# TLS 1.3, and with buffers that shrink.
#
# usage: mbedtls3.sh
#
# Ends with 77 and one line where the source cannot be had. Needs no root.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/made.sh
. "$root/tests/tools/made.sh"
prefix=${RUNNEL_TEST_CACHE:-$root/build/cache}/mbedtls3
recipe=$(sha256sum "$0" | cut -d' ' -f1)
! is_made "$prefix" "$recipe" || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/tests/tools/debian_source.sh" trixie mbedtls "$work/source"
cd "$work"
# Threads as Debian has them: without, there is no TLS 1.3 (see tls.c). Debian's buffers stay large.
config=source/include/mbedtls/mbedtls_config.h
sed -i -E 's,^//(#define MBEDTLS_(THREADING_C|THREADING_PTHREAD|SSL_VARIABLE_BUFFER_LENGTH)$),\1,' \
    $config
[ "$(grep -cE '^#define MBEDTLS_(THREADING_C|SSL_VARIABLE_BUFFER_LENGTH)$' $config)" -eq 2 ]
if ! { cmake -G Ninja -S source -B build -DCMAKE_BUILD_TYPE=Release -DENABLE_PROGRAMS=OFF \
    -DENABLE_TESTING=OFF -DGEN_FILES=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DCMAKE_INSTALL_PREFIX="$work/made" && ninja -C build install; } >log 2>&1; then
    tail -n 30 log >&2
    exit 1
fi
keep made "$prefix" "$recipe"
