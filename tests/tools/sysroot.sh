#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Puts the libraries of another architecture into build/sysroot/<architecture>, from the Debian
# sources that this machine uses.
#
# usage: sysroot.sh ARCHITECTURE      (armhf, arm64, ...)
#
# Nothing is installed and the machine's own apt state is not touched: packages of two architectures
# may otherwise refuse to live side by side. Needs no root.
set -euo pipefail

packages=(libmbedtls-dev liblmdb-dev libcjson-dev zlib1g-dev libcmocka-dev)

[ $# -eq 1 ] || { echo "usage: sysroot.sh ARCHITECTURE" >&2; exit 2; }
arch=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
sysroot=$root/build/sysroot/$arch
stamp=$sysroot/.packages
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "${packages[*]}" ]; then
    exit 0
fi
command -v apt-get >/dev/null || {
    echo "sysroot.sh: no apt here; put ${packages[*]} for $arch into $sysroot" >&2
    exit 1
}
echo "Downloading ${packages[*]} and what they need for $arch into build/sysroot/$arch"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/new"
: >"$work/status"
apt=(apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
    -o "Dir::State=$work" -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status"
    -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root)

# The index of one suite may be out of step on a mirror; what the others hold is usually enough.
"${apt[@]}" update 2>"$work/update.log" || true
if ! "${apt[@]}" install -y --no-install-recommends --download-only "${packages[@]}" \
    >"$work/install.log" 2>&1 </dev/null; then
    cat "$work/update.log" "$work/install.log" >&2
    exit 1
fi
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$work/new"
done
echo "${packages[*]}" >"$work/new/.packages"
rm -rf "$sysroot"
mkdir -p "$(dirname "$sysroot")"
cp -a "$work/new" "$sysroot"
