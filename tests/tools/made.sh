# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced by what makes libraries once and keeps them. A recipe is any text that changes with
# what is made.

# is_made PREFIX RECIPE: whether that recipe's result is kept there.
is_made() {
    [ -f "$1/.made" ] && [ "$(cat "$1/.made")" = "$2" ]
}

# keep MADE PREFIX RECIPE: it is, from now on.
keep() {
    echo "$3" >"$1/.made"
    rm -rf "$2"
    mkdir -p "$(dirname "$2")"
    cp -a "$1" "$2"
}
