#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Puts aiocoap, a CoAP that others wrote, into build/cache/aiocoap (or $RUNNEL_TEST_CACHE/aiocoap),
# from a newer Debian than the one that runnel is tested on, which has no package of it.
#
# usage: aiocoap.sh
#
# Prints the folder for PYTHONPATH. Ends with 77 and one line where it cannot be had. Needs no root.
set -euo pipefail

[ $# -eq 0 ] || { echo "usage: aiocoap.sh" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/made.sh
. "$root/tests/tools/made.sh"
# shellcheck source=tests/tools/suite.sh
. "$root/tests/tools/suite.sh"

prefix=${RUNNEL_TEST_CACHE:-$root/build/cache}/aiocoap
recipe=$(sha256sum "$0" | cut -d' ' -f1)
modules=$prefix/usr/lib/python3/dist-packages
if is_made "$prefix" "$recipe"; then
    echo "$modules"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
use_suite deb trixie "$work"
cd "$work"
fetch() {
    "${apt[@]}" update && "${apt[@]}" download python3-aiocoap
}
if ! fetch >log 2>&1 </dev/null; then
    tail -n 2 log >&2
    skip "Debian's python3-aiocoap cannot be had"
fi
mkdir made
dpkg-deb -x python3-aiocoap_*.deb made
keep made "$prefix" "$recipe"
echo "$modules"
