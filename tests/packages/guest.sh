#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the package does to a Debian that packages.py made, in there and as its root.
#
# usage: guest.sh chroot|systemd      with /test/old.deb, new.deb, runnel.json, away.json, ca.pem,
#                                     credentials, lines
#
# chroot: nothing runs but this. systemd: it is the machine's own, and the service lives in it.
set -Eeuo pipefail
mode=$1
DELIVERED='"normal":\{"accepted":[0-9]+,"delivered":[1-9]'
cd /test
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
trap 'echo "FAIL in line $LINENO: $BASH_COMMAND"' ERR

said() {
    echo "ok   $*"
}

# must WHAT COMMAND...
must() {
    local what=$1
    shift
    "$@" || { echo "FAIL $what: $*"; exit 1; }
    said "$what"
}

# until_so WHAT COMMAND...: asks for a minute.
until_so() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "FAIL waited in vain for: $what"; exit 1; }
        sleep 0.2
    done
    said "$what"
}

apt() {
    apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Options::=--force-confold "$@" >>apt.log 2>&1 ||
        { tail -20 apt.log; echo "FAIL apt-get $*"; exit 1; }
}

as_agent() {
    RUNNEL_SOCKET=/tmp/agent.sock AWS_SHARED_CREDENTIALS_FILE=/etc/runnel/credentials \
        setpriv --reuid runnel --regid runnel --init-groups "$@"
}

stored() {
    as_agent runnel spool export -c /etc/runnel/runnel.json 2>/dev/null | wc -l
}

property() {
    systemctl show --property "$1" --value runnel
}

# is PROPERTY VALUE
is() {
    [ "$(property "$1")" = "$2" ]
}

configure() {
    install -m 644 "$1" /etc/runnel/runnel.json
    install -m 644 ca.pem /etc/runnel/ca.pem
    install -m 640 -g runnel credentials /etc/runnel/credentials
}

# What root is told in a shell that has nothing of the service's environment.
doctor_has_keys() {
    grep -q '^  ok    keys' <<<"$(runnel doctor || true)"
}

# ---- what holds with and without systemd

look_at_files() {
    must "the user's directory" [ "$(stat -c %U:%G:%a /var/lib/runnel)" = runnel:runnel:750 ]
    must "the user may open serial lines" grep -qw dialout <<<"$(id -Gn runnel)"
    must "the manual is there" [ -s /usr/share/man/man5/runnel.json.5.gz ] # unless excluded
    must "the configuration belongs to dpkg" \
        grep -q /etc/runnel/runnel.json <<<"$(dpkg-query -W -f='${Conffiles}' runnel)"
    must "the program runs" runnel version
    local code=0
    runnel check >check.log 2>&1 || code=$?
    must "it says what is missing" [ "$code" = 78 ]
    must "and how" grep -q '"destination": "kinesis"' check.log
}

leave() {
    apt remove runnel
    must "the program is gone" [ ! -e /usr/bin/runnel ]
    must "the spool stays without the program" [ -s /var/lib/runnel/spool.mdb ]
    must "so does the configuration" cmp -s "$1" /etc/runnel/runnel.json
    # The spool's partition, which cannot be removed.
    [ "$mode" = chroot ] || mount --bind /var/lib/runnel /var/lib/runnel
    apt purge runnel
    [ "$mode" = chroot ] || umount /var/lib/runnel
    must "purged, the spool is gone" [ ! -e /var/lib/runnel/spool.mdb ]
    [ "$mode" = systemd ] || must "with its directory" [ ! -e /var/lib/runnel ]
    must "and the configuration" [ ! -e /etc/runnel ]
    must "and every link to the unit" [ -z "$(find /etc/systemd -name 'runnel*')" ]
}

# ---- in a chroot

live_in_chroot() {
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    apt update
    apt install ./old.deb
    look_at_files
    configure runnel.json
    must "root's doctor finds the service's keys" doctor_has_keys
    must "every line is delivered" as_agent runnel run --drain=60s
    configure away.json
    echo '{"state":"late"}' >>lines
    local code=0
    as_agent runnel run --drain=3s 2>away.log || code=$?
    must "what cannot be delivered stays" [ "$code" = 1 ]
    local before
    before=$(stored)
    must "it is in the spool" [ "$before" -gt 0 ]
    apt install ./new.deb
    must "an upgrade leaves the spool" [ "$(stored)" = "$before" ]
    must "and the configuration" cmp -s away.json /etc/runnel/runnel.json
    leave away.json
}

# ---- with systemd

# A serial line of somebody else's: the far end of a terminal.
open_line() {
    mkfifo /run/line.in
    script -qfc 'stty raw -echo; tty >/run/line.name; exec sleep 600' /dev/null \
        </run/line.in >/dev/null 2>&1 &
    exec 9>/run/line.in
    until_so "a serial line" [ -s /run/line.name ]
    ln -s "$(cat /run/line.name)" /run/line
    chown root:dialout "$(cat /run/line.name)"
    chmod 660 "$(cat /run/line.name)"
}

feed() {
    echo '{"state":"tty"}' >&9
    echo '{"state":"fifo"}' >/run/plc.fifo
    echo '{"state":"file"}' >>/var/log/plc.log
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => shift)->print("{\"a\":1}\n")' \
        /run/runnel/plc.sock
    echo '{"state":"sent"}' | runnel send sent
}

# Each refused call ends the program here, instead of failing: none goes unseen.
drop_in() {
    mkdir -p /etc/systemd/system/runnel.service.d
    printf '[Service]\nSystemCallErrorNumber=\nRestartSec=1\nWatchdogSec=5\n%s\n' "$1" \
        >/etc/systemd/system/runnel.service.d/test.conf
    systemctl daemon-reload
}

live_with_systemd() {
    apt update
    apt install ./old.deb
    until_so "it does not run without a configuration" is ActiveState failed
    must "it says why" is ExecMainStatus 78
    must "it is not started again" is NRestarts 0
    must "it is enabled" systemctl --quiet is-enabled runnel
    look_at_files

    configure runnel.json
    chmod 600 /etc/runnel/credentials
    chgrp root /etc/runnel/credentials
    install -m 600 /dev/null /etc/runnel/device.key
    systemd-tmpfiles --create runnel.conf
    local secret
    for secret in credentials device.key; do
        must "secrets are the agent's" [ "$(stat -c %G:%a "/etc/runnel/$secret")" = runnel:640 ]
    done
    mkfifo -m 600 /run/plc.fifo
    chown runnel /run/plc.fifo
    touch /var/log/plc.log
    install -d -o runnel /mnt/archive
    open_line
    drop_in 'SystemCallFilter=~adjtimex clock_adjtime'
    systemctl start runnel || true
    until_so "a call that is refused is seen" is ExecMainStatus 31
    drop_in ''
    systemctl stop runnel
    must "it starts" systemctl restart runnel
    must "and is not root" [ "$(stat -c %U "/proc/$(property MainPID)")" = runnel ]
    feed
    until_so "each route delivers" every_route
    must "root's doctor finds the service's keys" doctor_has_keys
    useradd -G runnel fitter
    must "the group may ask" runuser -u fitter -- runnel status --healthy
    runnel status --json >status.json

    local pid
    pid=$(property MainPID)
    kill -STOP "$pid"
    until_so "the watchdog notices" is Result watchdog
    until_so "and has it started again" other_than "$pid"
    pid=$(property MainPID)
    kill -KILL "$pid"
    until_so "killed, it is started again" other_than "$pid"
    pid=$(property MainPID)
    local spool
    spool=$(runnel status --json | grep -o '"spool":"[^"]*"')
    apt install ./new.deb
    until_so "an upgrade starts the new one" other_than "$pid"
    must "on the same spool" [ "$(runnel status --json | grep -o '"spool":"[^"]*"')" = "$spool" ]
    must "as it was configured" cmp -s runnel.json /etc/runnel/runnel.json

    systemctl --quiet disable runnel
    apt install --reinstall ./new.deb
    must "disabled it stays" is UnitFileState disabled
    rm -r /etc/systemd/system/runnel.service.d
    leave runnel.json
    must "nothing runs" [ -z "$(pgrep -x runnel || true)" ]
}

other_than() {
    local pid
    pid=$(property MainPID)
    [ "$pid" != 0 ] && [ "$pid" != "$1" ] && is ActiveState active && runnel status >/dev/null 2>&1
}

# A number that is not 0 behind each "delivered" of the lane, one per route.
every_route() {
    [ "$(runnel status --json | grep -oE "$DELIVERED" | wc -l)" = 3 ]
}

case $mode in
    chroot) live_in_chroot ;;
    systemd) live_with_systemd ;;
esac
echo "PASS"
