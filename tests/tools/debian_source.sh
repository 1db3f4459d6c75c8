#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks the source of a Debian package as its authors released it, of a suite that this machine
# may not have.
#
# usage: debian_source.sh SUITE PACKAGE FOLDER
#
# It comes by apt from the mirror and under the signature that Debian's keyring knows, in a state of
# its own: the machine's lists and sources stay as they are. Ends with 77 and one line where it
# cannot be had. Needs no root.
set -euo pipefail

mirror=http://deb.debian.org/debian
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ $# -eq 3 ] || { echo "usage: debian_source.sh SUITE PACKAGE FOLDER" >&2; exit 2; }
suite=$1
package=$2
folder=$3

skip() {
    echo "debian_source.sh: skipped: $1"
    exit 77
}

command -v apt-get >/dev/null || skip "no apt here to fetch Debian's source of $package with"
[ -r "$keyring" ] || skip "$keyring is not there to check Debian's source of $package with"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$folder"
folder=$(realpath "$folder")
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
fetch() {
    "${apt[@]}" update && "${apt[@]}" --download-only source "$package"
}
if ! fetch >log 2>&1 </dev/null; then
    tail -n 2 log >&2
    skip "Debian's source of $package ($suite) cannot be had"
fi
tarball=$(find . -name "${package}_*.orig.tar.*" ! -name '*.asc')
tar -xf "$tarball" -C "$folder" --strip-components=1
