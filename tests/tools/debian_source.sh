#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks the source of a Debian package as its authors released it, of a suite that this machine
# may not have.
#
# usage: debian_source.sh SUITE PACKAGE FOLDER
#
# Ends with 77 and one line where it cannot be had. Needs no root.
set -euo pipefail

[ $# -eq 3 ] || { echo "usage: debian_source.sh SUITE PACKAGE FOLDER" >&2; exit 2; }
# shellcheck source=tests/tools/suite.sh
. "$(dirname "$0")/suite.sh"
suite=$1
package=$2
folder=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
folder=$(realpath "$folder")
use_suite deb-src "$suite" "$work"
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
