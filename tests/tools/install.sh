#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that a step needs and that are missing; says what and why.
#
# usage: install.sh GROUP...
# groups: build | checks | clang | armhf | arm64 | image | qemu | e2e | node | aws | velocity |
#         cloud | network | bench | chroot | packages
#
# Returns at once when nothing is missing. Needs root or sudo only when something is.
set -euo pipefail

# One line per group: why, then the packages.
group() {
    case $1 in
    build)
        why="to build runnel and its tests"
        packages="gcc libc6-dev cmake ninja-build python3 python3-kconfiglib
            libmbedtls-dev liblmdb-dev libcjson-dev zlib1g-dev libmodbus-dev
            libcoap3-dev libcmocka-dev"
        ;;
    checks)
        why="to check style and scripts"
        packages="git clang-format shellcheck make python3 python3-kconfiglib python3-yaml"
        ;;
    clang)
        why="to build with a second compiler"
        packages="clang"
        ;;
    armhf)
        why="to build and package for 32-bit ARM, and run that under emulation"
        packages="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static dpkg-dev"
        ;;
    arm64)
        why="to build and package for 64-bit ARM, and run that under emulation"
        packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static dpkg-dev"
        ;;
    image)
        why="to make disk images for ARM boards"
        packages="kmod cpio e2fsprogs dosfstools mtools fdisk systemd util-linux"
        ;;
    qemu)
        why="to run ARM gateways under emulation"
        packages="qemu-system-arm qemu-efi-aarch64 ipxe-qemu u-boot-qemu nbdkit f2fs-tools git make
            xz-utils"
        ;;
    e2e)
        why="to check requests, certificates, metrics, CoAP and screens against what others wrote"
        packages="openssl python3-botocore python3-cryptography python3-prometheus-client
            python3-pymodbus python3-serial-asyncio libcoap3-bin tmux"
        ;;
    node)
        why="to run kinesalite, a Kinesis that others wrote"
        packages="nodejs npm"
        # Who has Node.js from elsewhere keeps it; Debian's would not install beside it.
        if command -v node >/dev/null && command -v npm >/dev/null; then packages=""; fi
        ;;
    aws)
        why="to read the CloudFormation template and check what its functions ask of AWS"
        packages="openssl python3 python3-yaml python3-boto3 python3-botocore python3-cryptography"
        ;;
    cloud)
        why="to run the far side on loopback"
        packages="curl jq openssl python3-boto3 python3-botocore python3-yaml"
        ;;
    velocity)
        why="to run mapping templates in the engine behind API Gateway's"
        packages="default-jdk-headless velocity libjson-smart-java"
        ;;
    network)
        why="to spoil networks and certificates"
        packages="openssl iproute2 iptables util-linux"
        ;;
    bench)
        why="to measure flash writes on a file system of its own"
        packages="e2fsprogs mount util-linux"
        ;;
    chroot)
        why="to make a fresh Debian in a folder"
        packages="mmdebstrap git ca-certificates util-linux"
        ;;
    packages)
        why="to make Debian packages and to live with them"
        packages="dpkg-dev lintian mmdebstrap arch-test qemu-user-static systemd-container
            util-linux"
        # Debian has two that exclude each other.
        if ! command -v busybox >/dev/null; then packages="$packages busybox"; fi
        ;;
    *)
        echo "install.sh: there is no group '$1'" >&2
        exit 2
        ;;
    esac
}

missing_of() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install.sh: no apt here; the tools and libraries for '$*' must be there already" >&2
    exit 0
fi

wanted=()
for name in "$@"; do
    group "$name"
    [ -n "$packages" ] || continue
    # shellcheck disable=SC2086 # the packages are words
    missing=$(missing_of $packages)
    [ -n "$missing" ] || continue
    # shellcheck disable=SC2086
    echo "Installing $why:" $missing
    # shellcheck disable=SC2206
    wanted+=($missing)
done
[ ${#wanted[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing: ${wanted[*]}. Run this as root, or install them and sudo first." >&2
        exit 1
    fi
    as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900
    -o APT::Color=0)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${wanted[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    echo "apt could not install: ${wanted[*]}" >&2
    exit 1
fi
