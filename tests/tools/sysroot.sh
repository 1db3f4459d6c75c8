#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All that a build for another architecture needs: installs Debian's cross compiler and emulator
# where they are missing, and puts the libraries into build/sysroot/<architecture>, from the Debian
# sources that this machine uses.
#
# usage: sysroot.sh ARCHITECTURE...      armhf, arm64
#
# The libraries are not installed and the machine's own apt state is not touched: packages of two
# architectures may otherwise refuse to live side by side. Needs root or sudo only for the compiler.
set -euo pipefail

packages=(libmbedtls-dev liblmdb-dev libcjson-dev zlib1g-dev libmodbus-dev libcoap3-dev
    libcmocka-dev)

[[ $# -gt 0 && " $* " =~ ^(" "(armhf|arm64))+" "$ ]] ||
    { echo "usage: sysroot.sh ARCHITECTURE... (armhf, arm64)" >&2; exit 2; }
if [ $# -gt 1 ]; then
    for arch; do
        "$0" "$arch"
    done
    exit 0
fi
arch=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/made.sh
. "$root/tests/tools/made.sh"
"$root/tests/tools/install.sh" build "$arch"
sysroot=$root/build/sysroot/$arch
recipe=$(sha256sum "$0" | cut -d' ' -f1)
! is_made "$sysroot" "$recipe" || exit 0
echo "Downloading ${packages[*]} and what they need for $arch into build/sysroot/$arch"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/tests/tools/debs.sh" "$arch" "$work/debs" "${packages[@]}"
# What the packages say of their libraries, so that dpkg-shlibdeps knows whom a program depends on.
mkdir -p "$work/new/DEBIAN"
for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$work/new"
    dpkg-deb -e "$package" "$work/control"
    for file in symbols shlibs; do
        [ ! -f "$work/control/$file" ] || cat "$work/control/$file" >>"$work/new/DEBIAN/$file"
    done
    rm -r "$work/control"
done
# /lib/... would be this machine's: the linker would miss a library or take its static twin.
find "$work/new" -type l -lname '/*' | while read -r link; do
    ln -sfnr "$work/new$(readlink "$link")" "$link"
done
keep "$work/new" "$sysroot" "$recipe"
