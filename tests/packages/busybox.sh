#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the init script must do, inside the root that busybox.py made: BusyBox and runnel, no more.
set -eu

SCRIPT=/etc/init.d/S90runnel

said() {
    echo "ok   $*"
}

fail() {
    echo "FAIL $*"
    runnel status || true
    cat /var/log/messages
    exit 1
}

# code_of EXPECTED COMMAND...
code_of() {
    expected=$1
    shift
    code=0
    "$@" >/tmp/said 2>&1 || code=$?
    [ "$code" = "$expected" ] || fail "$*: $code instead of $expected: $(cat /tmp/said)"
    said "$* ($code): $(tail -n 1 /tmp/said)"
}

# until_so WHAT COMMAND...
until_so() {
    what=$1
    left=100
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "waited in vain for: $what"
        sleep 0.2
    done
    said "$what"
}

agent() {
    pidof runnel
}

other_than() {
    pid=$(agent) && [ "$pid" != "$1" ] && runnel status >/dev/null
}

delivered() {
    ls /archive/*
}

syslogd -O /var/log/messages
code_of 3 $SCRIPT status
code_of 78 $SCRIPT start
grep -q '"destination": "kinesis"' /tmp/said || fail "it does not say what is missing"
code_of 3 $SCRIPT status

cp /test/runnel.json /etc/runnel/runnel.json
echo $$ >/run/runnel.pid # of another one: stale
code_of 1 $SCRIPT status
code_of 0 $SCRIPT start
until_so "it answers" runnel status
code_of 0 $SCRIPT status
code_of 0 $SCRIPT start
[ "$(agent | wc -w)" = 1 ] || fail "there are two"
[ "$(stat -c %U "/proc/$(agent)")" = runnel ] || fail "it is not the user runnel"
grep -qw "$(id -g runnel)" "/proc/$(agent)/status" || fail "it has not the groups of runnel"
[ "$(stat -c %U:%a /var/lib/runnel)" = runnel:750 ] || fail "the spool is open to all"
until_so "its log is in syslog" grep -q "runnel: .*started device=gw" /var/log/messages

until_so "it delivers" delivered

pid=$(agent)
kill -KILL "$pid"
until_so "killed, it is started again" other_than "$pid"
pid=$(agent)
code_of 0 $SCRIPT restart
until_so "restarted, it is another" other_than "$pid"
pid=$(agent)
kill -STOP "$pid"
code_of 0 $SCRIPT stop
[ ! -d "/proc/$pid" ] || fail "what does not end is not killed"
code_of 3 $SCRIPT status
code_of 0 $SCRIPT stop

# What is not there yet stops nothing: an interface, a disk.
sed "s/gw/\${mac:late0}/" /test/runnel.json >/etc/runnel/runnel.json
echo STATE=/data/runnel >>/etc/default/runnel
touch /data
code_of 0 $SCRIPT start
until_so "it is tried again" grep -q "ended with 1, starts again" /var/log/messages
code_of 0 $SCRIPT status
cp /test/runnel.json /etc/runnel/runnel.json
rm /data
until_so "its directory is made" [ -d /data/runnel ]
until_so "what was missing came" runnel status
[ "$(stat -c %U:%a /data/runnel)" = runnel:750 ] || fail "the spool is open to all"
until_so "the spool is in STATE" [ -f /data/runnel/spool.mdb ]
code_of 0 $SCRIPT stop

# What is on a medium is taken before the program starts, with nothing but BusyBox.
printf 'IMPORT=yes\nIMPORT_FROM=/medium\n' >>/etc/default/runnel
sed 's/"gw"/"gw-17"/' /test/runnel.json >/medium/runnel/runnel.json
echo secret >/medium/runnel/some.key
code_of 0 $SCRIPT start
until_so "it answers" runnel status
runnel status --json | grep -q '"device":"gw-17"' || fail "what was imported does not run"
[ "$(stat -c %U:%a /etc/runnel/some.key)" = runnel:600 ] || fail "a key is open to all"
[ ! -e /medium/runnel/some.key ] || fail "a key stays on the medium"
grep -q "This is gw-17" /medium/runnel/result.txt || fail "the medium does not say what happened"
code_of 0 $SCRIPT stop
echo '{' >/medium/runnel/runnel.json
code_of 0 $SCRIPT start
grep -q "NOTHING was imported" /medium/runnel/result.txt || fail "a bad one is not refused"
until_so "it runs as before" runnel status
code_of 0 $SCRIPT stop

mv /usr/bin/runnel /tmp
code_of 1 $SCRIPT start
mv /tmp/runnel /usr/bin

echo '{' >/etc/runnel/runnel.json
code_of 78 $SCRIPT run
code_of 2 $SCRIPT nonsense
until_so "the log says why it stays down" grep -q "not started again" /var/log/messages
echo PASS
