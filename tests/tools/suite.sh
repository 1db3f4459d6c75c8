# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced by what takes something from a suite of Debian that this machine may not have: by
# apt from the mirror and under the signature that Debian's keyring knows, in a state of its own, so
# that the machine's lists and sources stay as they are.

# skip REASON: ends with 77 and one line.
skip() {
    echo "$(basename "$0"): skipped: $1"
    exit 77
}

# use_suite deb|deb-src SUITE WORK: "${apt[@]}" is apt-get for that suite alone, from now on, with
# all that it writes in the folder WORK. Skips where there is no apt, or no keyring.
use_suite() {
    local mirror=http://deb.debian.org/debian keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null || skip "no apt here to fetch from Debian with"
    [ -r "$keyring" ] || skip "$keyring is not there to check with what Debian sends"
    mkdir -p "$3/parts" "$3/lists/partial" "$3/cache/archives/partial"
    : >"$3/status"
    cat >"$3/parts/suite.sources" <<END
Types: $1
URIs: $mirror
Suites: $2
Components: main
Signed-By: $keyring
END
    # shellcheck disable=SC2034 # for who sources this
    apt=(apt-get -qq -o Dir::Etc::SourceList="$3/none" -o Dir::Etc::SourceParts="$3/parts"
        -o Dir::State="$3" -o Dir::State::Lists="$3/lists" -o Dir::State::status="$3/status"
        -o Dir::Cache="$3/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20)
}
