#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds mbedTLS 3.6 from Debian's source into build/cache/mbedtls3: static, with threads, so with
# TLS 1.3, and with buffers that shrink.
#
# usage: mbedtls3.sh
#
# The source comes by apt from the mirror and under the signature that Debian's keyring knows, in a
# state of its own: the machine's lists and sources stay as they are. Ends with 77 and one line
# where it cannot be had. Needs no root.
set -euo pipefail

suite=trixie
mirror=http://deb.debian.org/debian
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
root=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${RUNNEL_TEST_CACHE:-$root/build/cache}/mbedtls3
stamp=$prefix/.made
recipe=$(sha256sum "$0" | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
    exit 0
fi

skip() {
    echo "mbedtls3.sh: skipped: $1"
    exit 77
}

command -v apt-get >/dev/null || skip "no apt here to fetch Debian's source of mbedTLS 3.6 with"
[ -r "$keyring" ] || skip "$keyring is not there to check Debian's source of mbedTLS 3.6 with"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
: >"$work/status"
cat >"$work/parts/source.sources" <<END
Types: deb-src
URIs: $mirror
Suites: $suite
Components: main
Signed-By: $keyring
END
apt=(apt-get -qq -o Dir::Etc::SourceList="$work/none" -o Dir::Etc::SourceParts="$work/parts"
    -o Dir::State="$work" -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status"
    -o Dir::Cache="$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root
    -o Acquire::Retries=2 -o Acquire::http::Timeout=20)
cd "$work"
if ! { "${apt[@]}" update && "${apt[@]}" --download-only source mbedtls; } >log 2>&1 </dev/null ||
    ! ls mbedtls_3.6.*.orig.tar.* >/dev/null 2>&1; then
    tail -n 2 log >&2
    skip "Debian's source of mbedTLS 3.6 ($suite) cannot be had"
fi

mkdir source
tar -xf mbedtls_3.6.*.orig.tar.* -C source --strip-components=1
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
echo "$recipe" >made/.made
rm -rf "$prefix"
mkdir -p "$(dirname "$prefix")"
cp -a made "$prefix"
