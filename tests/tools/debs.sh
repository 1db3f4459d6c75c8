#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Downloads Debian packages of another architecture into a folder, from the Debian sources that this
# machine uses.
#
# usage: debs.sh [--alone] ARCHITECTURE FOLDER PACKAGE...
#
# With what they depend on, as on a system that has nothing yet, or --alone. Nothing is installed,
# and the machine's own apt state is not touched: packages of two architectures may otherwise refuse
# to live side by side. Needs no root.
set -euo pipefail

alone=0
if [ "${1-}" = --alone ]; then
    alone=1
    shift
fi
[ $# -ge 3 ] || { sed -n '6s/^# //p' "$0" >&2; exit 2; }
arch=$1
folder=$2
shift 2
command -v apt-get >/dev/null || {
    echo "debs.sh: no apt here to get $* for $arch" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$folder"
: >"$work/status"
apt=(apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
    -o "Dir::State=$work" -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status"
    -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root)

# The index of one suite may be out of step on a mirror; what the others hold is usually enough.
"${apt[@]}" update 2>"$work/update.log" || true
fetch() {
    if [ $alone = 1 ]; then
        cd "$work/cache/archives" && "${apt[@]}" download "$@"
    else
        "${apt[@]}" install -y --no-install-recommends --download-only "$@"
    fi
}
if ! (fetch "$@") >"$work/fetch.log" 2>&1 </dev/null; then
    cat "$work/update.log" "$work/fetch.log" >&2
    exit 1
fi
mv "$work"/cache/archives/*.deb "$folder"
