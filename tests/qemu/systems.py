# SPDX-License-Identifier: Apache-2.0
"""The scenarios on a board's image: its own boot loader, systemd, two slots, a data partition."""
import json
import os
import pathlib
import shutil
import subprocess

import harness
from guest import BOARDS, ROOT, Installed, check, parts, wait_until

WATCHDOG_S = 10
RESTART_S = 400
SHORT = {"spool": {"size": "8MiB", "lanes": {"normal": {"window": "5s", "age": "1s"}}},
         "sensors": [{"name": "wave", "driver": "sim", "interval": "500ms"}]}


def numbers_of(sink):
    """{spool: the numbers of the records that the sink has}; none is there twice, as long as
    nothing was killed."""
    found = {}
    for _, _, data in sink.records():
        record = json.loads(data)
        found.setdefault(record["spool"], []).append(record["seq"])
    for numbers in found.values():
        check(len(numbers) == len(set(numbers)), "records came twice")
    return found


def image(run, board="qemu-aarch64"):
    """The image boots by its own boot loader; the root is read-only, the spool on the data
    partition outlives a reboot, and without that partition the agent refuses to start."""
    sink = harness.Sink(run)
    gateway = Installed(run, board, sink, **SHORT)
    machine = gateway.boot()
    wait_until("deliveries", lambda: gateway.counters()["delivered"] > 0)
    check(machine.call("touch /usr/x /etc/x /x")[0] == 1, "the root can be written")
    data = machine.run("grep ' /data ' /proc/mounts")
    for option in ("noatime", "errors=remount-ro", "commit=30", "nodev", "noexec"):
        check(option in data, f"{option} is not in {data}")
    identity = machine.run("cat /etc/machine-id"), gateway.status()["spool"]
    check(machine.run("ls /data/runnel/spool.mdb"), "the spool is there")
    gateway.reboot()
    wait_until("deliveries", lambda: gateway.counters()["delivered"] > 0)
    check((gateway.machine.run("cat /etc/machine-id"), gateway.status()["spool"]) == identity,
          "the machine and its spool are others after the reboot")
    gateway.machine.run("systemctl stop runnel; umount /data; systemctl start runnel || true")
    said = gateway.machine.run("journalctl -u runnel -n 20 -o cat")
    check("/etc/runnel/runnel.json: does not exist" in said,
          f"without its partition it said: {said}")
    check(gateway.machine.run("ls -A /data") == "", "something was written below the mount")
    time_s = gateway.machine.run("cut -d' ' -f1 /proc/uptime")
    print(f"{board}: {len(numbers_of(sink)[identity[1]])} records over two boots, none twice; "
          f"up for {time_s} s")
    gateway.machine.cut()


def trial(run, board="qemu-aarch64"):
    """A slot on trial is kept if all is well, and left after a power cut; a data partition that is
    damaged is mended at the next boot, without a question."""
    sink = harness.Sink(run)
    gateway = Installed(run, board, sink, **SHORT)
    machine = gateway.boot()
    check(machine.run("runnel-slot") == "running a, next a", "it begins in slot a")
    machine.run("runnel-slot write $(findmnt -no SOURCE /boot | sed 's/1$/2/') && "
                "runnel-slot try b")
    gateway.reboot()
    wait_until("that it stays", lambda: gateway.machine.run("runnel-slot") == "running b, next b")
    identity = gateway.machine.run("cat /etc/machine-id"), gateway.status()["spool"]

    # The control: what is not healthy does not stay.
    gateway.machine.run("runnel-slot try a; mv /data/config/runnel.json /data && sync")
    gateway.reboot()
    check(gateway.machine.run("runnel-slot") == "running a, next b", "slot a is on trial")
    gateway.machine.run("systemctl stop runnel-trial; mv /data/runnel.json /data/config && sync")
    # What the inode of the root directory is: nothing that e2fsck mends unasked.
    gateway.machine.run("systemctl stop runnel; disk=$(findmnt -no SOURCE /data); umount /data; "
                        "debugfs -w -R 'clri <2>' $disk && sync")
    gateway.machine.cut()
    machine = gateway.boot()
    check(machine.run("runnel-slot") == "running b, next b", "the former slot is back")
    wait_until("deliveries", lambda: gateway.counters()["delivered"] > 0)
    check((machine.run("cat /etc/machine-id"), gateway.status()["spool"]) == identity,
          "the machine and its spool are others after the data partition was mended")
    print(f"{board}: a slot was kept, another was left; {identity[0]} before and after the data "
          "partition was mended")
    machine.cut()


def watchdog(run, board="qemu-aarch64", threads="route-live,commit"):
    """systemd restarts the agent when one of its threads stops, or all of them; not otherwise."""
    sink = harness.Sink(run)
    gateway = Installed(run, board, sink, files={
        "stop_thread": BOARDS[board].build / "tests/qemu/stop_thread"}, **SHORT)
    machine = gateway.boot()
    gateway.status()
    machine.run("mkdir -p /run/systemd/system/runnel.service.d; printf '[Service]\\n"
                f"WatchdogSec={WATCHDOG_S}\\nRestartSec=1\\n' >/run/systemd/system/"
                "runnel.service.d/short.conf; systemctl daemon-reload; systemctl restart runnel")
    wait_until("deliveries", lambda: gateway.counters()["delivered"] > 0)

    def restarts():
        return int(gateway.unit("NRestarts"))

    # The control: as long as nothing stops, nothing is restarted, however slow this machine is.
    machine.run(f"sleep {3 * WATCHDOG_S}")
    check(restarts() == 0, "it was restarted without a reason")
    stops = [(name, f"/boot/runnel/stop_thread $pid {name} </dev/null >/run/stopped & "
              "until grep -q stopped /run/stopped; do sleep 0.2; done")
             for name in threads.split(",")] + [("all", "kill -STOP $pid")]
    for name, stop in stops:
        before = restarts()
        machine.run(f"pid=$(systemctl show -P MainPID runnel); {stop}")
        wait_until(f"a restart because of {name}", lambda count=before: restarts() > count,
                   RESTART_S)
        said = machine.run("journalctl -u runnel -o cat | grep -c 'Watchdog timeout'")
        check(int(said) == restarts(), f"{said} time-outs, {restarts()} restarts")
        seen = gateway.counters()["delivered"]
        wait_until("deliveries", lambda count=seen: gateway.counters()["delivered"] > count)
    harness.check_identity(gateway.counters())
    print(f"{board}: restarted {restarts()} times, for {', '.join(name for name, _ in stops)}; "
          "not once in three periods without a reason")
    machine.cut()


def previous_revision():
    """The newest tag; without any, what came before the last change of the spool's format."""
    def git(*arguments):
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True,
                              check=False).stdout.strip()

    return (os.environ.get("RUNNEL_PREVIOUS") or git("describe", "--tags", "--abbrev=0") or
            (lambda last: last and git("rev-parse", "--short", f"{last}^"))(
                git("log", "-1", "--format=%H", "--", "agent/spool/FORMAT.md")))


def build_previous(board, revision, folder):
    """The program of an earlier revision, for BOARD; it uses today's toolchain and libraries."""
    build = BOARDS[board].build / f"previous-{revision}"
    program = build / "build/runnel"
    if not program.is_file():
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        archive = folder / "previous.tar"
        parts.call("git", "-C", ROOT, "archive", "-o", archive, revision)
        parts.call("tar", "-x", "-C", build, "-f", archive)
        shutil.copytree(ROOT / "boards" / board, build / "boards" / board, dirs_exist_ok=True)
        cross = ROOT / "platform/cmake/cross.cmake"
        if cross.is_file():
            shutil.copy(cross, build / "platform/cmake")
        sysroot = ROOT / "build/sysroot" / BOARDS[board].arch
        parts.call("cmake", "-G", "Ninja", "-S", build, "-B", build / "build", f"-DBOARD={board}",
                   f"-DRUNNEL_SYSROOT={sysroot}", "-DRUNNEL_TESTS=OFF")
        parts.call("ninja", "-C", build / "build", "runnel")
    return program


def other_root(run, board, program):
    """The image's root file system with another program in it."""
    root = run.folder / "other.root"
    parts.call("cp", "--sparse=always", BOARDS[board].build / f"{board}.root", root)
    stripped = run.folder / "other"
    parts.call(f"{parts.ARCHES[BOARDS[board].arch].triple}-strip", "-o", stripped, program)
    commands = run.folder / "debugfs"
    commands.write_text(f"rm /usr/bin/runnel\nwrite {stripped} /usr/bin/runnel\n"
                        "sif /usr/bin/runnel mode 0100755\nsif /usr/bin/runnel uid 0\n"
                        "sif /usr/bin/runnel gid 0\n")
    parts.call("debugfs", "-w", "-f", commands, root)
    return root


# What this version keeps beside its spool: a configuration that was applied, and a key.
KEEP = ("sed 's/\"1s\"/\"2s\"/' /etc/runnel/runnel.json >/tmp/applied.json && "
        "runnel config apply /tmp/applied.json --confirm 7d && "
        "setpriv --reuid runnel --regid runnel --clear-groups runnel identity create")
KEPT = ("runnel check | grep applied; sha256sum </data/runnel/identity/next.key; "
        "cd /data/config && sha256sum *.json")


def update(run, board="qemu-armv7"):
    """From the version before to this one, back, and here again, each with records on flash: all of
    them arrive once, in one spool; what was applied, imported and made here is there again."""
    revision = previous_revision()
    if not revision:
        raise harness.Skip("no history of the repository here: set RUNNEL_PREVIOUS")
    old = other_root(run, board, build_previous(board, revision, run.folder))
    sink = harness.Sink(run)
    gateway = Installed(run, board, sink, **SHORT)
    # The gateway begins with the version before, in slot a.
    with old.open("rb") as source, gateway.image.open("r+b") as target:
        target.seek(132 << 20)
        shutil.copyfileobj(source, target, 1 << 20)
    update_disk = ("-drive", f"if=none,id=up,format=raw,readonly=on,file="
                   f"{pathlib.Path(BOARDS[board].build) / f'{board}.root'}",
                   "-device", "virtio-blk-device,drive=up,serial=up")
    machine = gateway.boot(*update_disk, link=False)
    digests = [machine.run("sha256sum </usr/bin/runnel")]
    spools = set()

    def fill():
        """Records that only flash has at the next start."""
        before = gateway.counters()["stored"]
        wait_until("records on flash", lambda: gateway.counters()["stored"] > before + 10)
        spools.add(gateway.status()["spool"])

    fill()
    machine.run("runnel-slot write $(for disk in /sys/block/vd*; do "
                "[ \"$(cat $disk/serial)\" != up ] || echo /dev/${disk##*/}; done)")
    kept = []
    for slot in "bab":
        gateway.machine.run(f"runnel-slot {slot}")
        gateway.reboot(link=False)
        check(f"running {slot}" in gateway.machine.run("runnel-slot"), f"slot {slot} runs")
        digests.append(gateway.machine.run("sha256sum </usr/bin/runnel"))
        fill()
        if slot == "b":
            gateway.machine.run("true" if kept else KEEP)
            kept.append(gateway.machine.run(KEPT))
    check(kept[0] == kept[1], f"what this version kept, before and after: {kept}")
    check(digests[0] == digests[2] and digests[1] == digests[3] and digests[0] != digests[1],
          f"the slots hold two programs: {digests}")
    gateway.machine.link(True)
    wait_until("an empty spool", lambda: gateway.counters()["stored"] == 0)
    counters = gateway.counters()
    harness.check_identity(counters)
    gateway.machine.run("systemctl stop runnel")
    found = numbers_of(sink)
    check(set(found) == spools and len(spools) == 1, f"one spool: {spools}, {set(found)}")
    numbers = sorted(*found.values())
    check(len(numbers) >= counters["delivered"], f"{len(numbers)} of {counters} arrived")
    check(counters["evicted"] == counters["dead"] == 0, f"nothing was given up: {counters}")
    print(f"{board}: {revision} to this, back, and again; {len(numbers)} records in one spool, "
          "none missing, none twice")
    gateway.machine.cut()
