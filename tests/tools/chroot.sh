#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command in a clean clone of this repository inside a fresh Debian that has nothing but git
# and ca-certificates: what somebody who meets the project for the first time would see.
#
# usage: chroot.sh COMMAND [ARGUMENT...]      such as: chroot.sh tests/run tools unit
#
# Needs root. SUITE names the Debian release (default bookworm). Packages come from this machine's
# apt sources; the network, its proxies and certificates are this machine's, too. The clone holds
# what is committed. Mounts live in a namespace of their own; everything is removed at the end.
set -euo pipefail

[ $# -gt 0 ] || { sed -n '3,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "chroot.sh: needs root" >&2; exit 1; }
root=$(cd "$(dirname "$0")/../.." && pwd)

if [ "${RUNNEL_CHROOT-}" = "" ]; then
    "$root/tests/tools/install.sh" chroot
    folder=$(mktemp -d)
    # The namespace takes its mounts along when its last process ends, and only then is it safe to
    # remove the folder.
    trap 'rm -rf --one-file-system "$folder"' EXIT
    chmod 755 "$folder"
    code=0
    RUNNEL_CHROOT=$folder unshare --mount --pid --fork --kill-child -- "$0" "$@" || code=$?
    exit "$code"
fi

folder=$RUNNEL_CHROOT
suite=${SUITE-bookworm}
target=$folder/debian

# Debian's own sources in both of apt's formats; a vendor's have no place in a fresh system.
mapfile -t sources < <(
    grep -ls "$suite" /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        xargs -r grep -lE 'debian|ubuntu'
)
if [ ${#sources[@]} -eq 0 ]; then
    echo "chroot.sh: no Debian source for $suite in /etc/apt; set SUITE to one that is there" >&2
    exit 1
fi
echo "== A fresh Debian ($suite)"
started=$SECONDS
proxies=$(apt-config dump | grep -iE '^Acquire::.*(proxy|https?::(ca|verify))' || true)
options=()
while IFS= read -r option; do
    [ -z "$option" ] || options+=("--aptopt=$option")
done <<<"$proxies"
mmdebstrap --quiet --variant=apt --include=git,ca-certificates "${options[@]}" "$suite" "$target" \
    "${sources[@]}"
echo "$((SECONDS - started)) s"

# The network as this machine has it: names, hosts and the certificates of its proxies.
cp -L /etc/resolv.conf /etc/hosts "$target/etc/"
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$target/usr/local/share/ca-certificates/"
    chroot "$target" update-ca-certificates >/dev/null 2>&1
fi

# The checks of the tree look for the path that they run in: it is not written out here.
home=/root
git -c "safe.directory=*" clone --quiet --no-hardlinks "file://$root" "$target$home/runnel"

# A root that is a mount point, as that of a machine is: tests make mounts of their own.
mount --bind "$target" "$target"
mount -t proc proc "$target/proc"
mount --rbind /sys "$target/sys"
mount --rbind /dev "$target/dev"
mount -t tmpfs tmpfs "$target/run"

echo "== $*"
started=$SECONDS
code=0
keep=()
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name-}" ] || keep+=("$name=${!name}")
done
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck disable=SC2016 # the inner shell expands it
chroot "$target" /usr/bin/env -i "HOME=$home" "PATH=$path" "TERM=${TERM-dumb}" "${keep[@]}" \
    /bin/bash -c 'cd ~/runnel && exec "$@"' bash "$@" || code=$?
echo "== exit code $code after $((SECONDS - started)) s"
exit "$code"
