# SPDX-License-Identifier: Apache-2.0
"""The scenarios that need no systemd."""
import base64
import datetime
import json
import random
import re
import time

import guest
import harness
from guest import Gateway, check, wait_until

SIM = {"name": "wave", "driver": "sim", "interval": "200ms", "channels": 2}
DRAIN_S = 120
LANES = {"normal": {"window": "5s", "age": "1s"}}


def records_of(sink, sensor):
    return [record for record in (json.loads(data) for _, _, data in sink.records())
            if record["sensor"] == sensor]


def check_once(records):
    numbers = [record["seq"] for record in records]
    check(len(numbers) == len(set(numbers)), f"{len(numbers) - len(set(numbers))} came twice")


def first_boot(run, board="qemu-armv7", late_s=15):
    """The first boot of a device: its clock says 1970, and the network comes later."""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, sensors=[SIM], spool={"lanes": LANES})
    started = datetime.datetime.now(datetime.timezone.utc)
    machine = gateway.boot(clock="1970-01-01T00:00:10", link=False)
    check(machine.run("date +%Y") == "1970", "the guest's clock is that of a first boot")
    time.sleep(late_s)
    early = gateway.counters()
    check(early["delivered"] == 0 and early["accepted"] > 0, f"taken without a network: {early}")
    machine.link(True)
    wait_until("deliveries", lambda: gateway.counters()["delivered"] > early["accepted"])
    status = gateway.status()
    ended = datetime.datetime.now(datetime.timezone.utc)
    records = records_of(sink, "wave")
    check_once(records)
    times = [datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00"))
             for record in records]
    slack = datetime.timedelta(seconds=2)
    check(started - slack < min(times) and max(times) < ended + slack,
          f"times from {min(times)} to {max(times)}, but it ran from {started} to {ended}")
    corrected = sum(record.get("time_quality") == "corrected" for record in records)
    check(corrected > 0, "those of before the network say that their time was learnt later")
    check(machine.run("date +%Y") == "1970", "the system's clock is not the agent's to set")
    print(f"{board}: {early['accepted']} records on flash before the network came, "
          f"{len(records)} delivered, {corrected} of them corrected from 1970, "
          f"clock {status['clock']['quality']}")
    machine.cut()


def link_cut(run, board="qemu-aarch64", away_s=30):
    """The network's plug is pulled for AWAY_S seconds and put in again."""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, sensors=[SIM], spool={"lanes": LANES})
    machine = gateway.boot()
    wait_until("deliveries", lambda: gateway.counters()["delivered"] > 0)
    machine.link(False)
    check(machine.run("cat /sys/class/net/eth0/carrier") == "0", "the carrier is gone")
    before = gateway.counters()
    time.sleep(away_s)
    away = gateway.counters()
    check(away["stored"] > before["stored"], f"it went on taking: {before} {away}")
    machine.link(True)
    wait_until("the rest", lambda: gateway.counters()["delivered"] > away["accepted"])
    harness.check_identity(gateway.counters())
    machine.run("kill -TERM $(pidof runnel)")
    wait_until("the agent to end", lambda: "ended with 0" in gateway.log())
    records = records_of(sink, "wave")
    check_once(records)
    numbers = sorted(record["seq"] for record in records)
    check(numbers == list(range(numbers[0], numbers[-1] + 1)), "no number is missing")
    print(f"{board}: away for {away_s} s, {away['stored'] + away['pending']} records waited, "
          f"{len(records)} delivered, none missing, none twice")
    machine.cut()


class Cuts:
    """Power cuts under load, and what was accepted before them."""

    def __init__(self, run, board, fs, program, seed):
        self.chance = random.Random(seed)
        self.sink = harness.Sink(run)
        self.gateway = Gateway(run, board, self.sink, fs=fs, program=program, sensors=[SIM],
                               modules=["crc32_generic", "f2fs"] if fs == "f2fs" else [],
                               disk_mib=96 if fs == "f2fs" else 24,
                               spool={"size": "8MiB", "lanes": LANES})
        self.accepted = set()
        self.next = 0

    def take(self, line):
        first, last = map(int, line.groups())
        self.accepted.update(range(first, last + 1))
        self.next = max(self.next, last + 1)

    def cycle(self, link):
        """Boots, hands documents over, and cuts at a moment that chance says."""
        machine = self.gateway.boot(volatile=True, link=link)
        lane = self.chance.choice(("alarm", "normal"))
        machine.type(f"load {self.next} {self.chance.choice((1, 10, 50))} {lane}")
        self.take(machine.wait_for(r"^accepted (\d+) (\d+)$"))
        end = time.monotonic() + self.chance.uniform(0.1, 2.5)
        while time.monotonic() < end:
            if not machine.lines.empty():
                self.see(machine.lines.get())
        machine.cut()
        while (line := machine.lines.get()) is not None:
            self.see(line)
        # A batch may have been under way, of which nothing is known.
        self.next += 100

    def see(self, line):
        found = re.match(r"accepted (\d+) (\d+)$", line or "")
        if found:
            self.take(found)

    def lost(self):
        """What the sink lacks of what was accepted, after everything was delivered."""
        self.gateway.boot(volatile=True)
        self.gateway.wait_drained(("alarm",))
        wait_until("an empty spool", lambda: self.gateway.counters()["stored"] == 0)
        counters = self.gateway.counters()
        harness.check_identity(counters)
        self.gateway.machine.cut()
        found = guest.identities(self.sink)
        check(all(len(names) == 1 for names in found.values()), "a document has one identity")
        return self.accepted - set(found)


def power_cut(run, board="qemu-armv7", cycles=3, fs="ext4", program="runnel", seed=1):
    """The power goes while documents are accepted, CYCLES times: none of them is lost. What the
    disk was not told to flush is lost with the power."""
    cuts = Cuts(run, board, fs, program, seed)
    for number in range(cycles):
        cuts.cycle(link=number % 3 == 2)
        if cycles > 5 and number % 10 == 9:
            print(f"{number + 1} cuts, {len(cuts.accepted)} accepted", flush=True)
    lost = cuts.lost()
    check(not lost, f"lost: {len(lost)} of {len(cuts.accepted)} that were accepted")
    print(f"{board}, {fs}: {cycles} cuts, {len(cuts.accepted)} documents accepted, 0 lost")


def power_cut_control(run, board="qemu-armv7"):
    """The control of it: an agent that never tells the disk to flush must lose something."""
    try:
        power_cut(run, board, cycles=2, program="runnel_no_sync")
    except harness.Failure as failure:
        check(str(failure).startswith("lost:") or "in vain" in str(failure), str(failure))
        print(f"{board}: as it must, {str(failure).splitlines()[0]}")
        return
    raise harness.Failure("an agent that does not flush lost nothing")


class Memory:
    """What the agent in the guest has for itself, beside what is stored."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.peak_kib = 0
        self.last = None
        self.stored = 0

    def look(self, what):
        text = self.gateway.machine.run("cat /proc/$(pidof runnel)/smaps_rollup")
        kib = int(re.search(r"Private_Dirty: +(\d+)", text).group(1))
        status = self.gateway.status()
        self.stored = sum(lane["stored_bytes"] for lane in status["lanes"].values())
        self.peak_kib = max(self.peak_kib, kib)
        evicted = status["routes"]["live"]["lanes"]["normal"]["evicted"]
        line = (f"{what:<12} {self.stored >> 10:6} KiB stored, {evicted:6} evicted, "
                f"Private_Dirty {kib} KiB")
        if line != self.last:
            print(line, flush=True)
        self.last = line
        return evicted


def noise(path, count):
    """Documents that do not compress."""
    chance = random.Random(1)
    with path.open("w", encoding="ascii") as file:
        for number in range(count):
            text = base64.b64encode(chance.randbytes(300)).decode()
            file.write(json.dumps({"id": number, "note": text}) + "\n")
    return path


def memory(run, board="qemu-armv7", limit_kib=1536):
    """64 MB of RAM and a full spool: what the agent has for itself (Private_Dirty) stays below
    LIMIT_KIB at any backlog, with a route over TLS."""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, disk_mib=48,
                      files={"lines": noise(run.folder / "l", 30000)},
                      spool={"size": "8MiB", "lanes": LANES},
                      sensors=[SIM, {"name": "plc", "driver": "lines", "path": "/run/plc"}])
    machine = gateway.boot(memory_mib=64, link=False, serve=False)
    machine.run("mkfifo /run/plc")
    gateway.serve()
    total = re.search(r"\d+", machine.run("grep MemTotal /proc/meminfo")).group()
    memory_of = Memory(gateway)
    memory_of.look("started")
    machine.run("cat /data/lines >/run/plc </dev/null &")
    while not memory_of.look("no network"):
        check(machine.run("pidof runnel"), "it runs")
    full = memory_of.stored
    machine.link(True)
    wait_until("a delivery", lambda: gateway.counters()["delivered"] > 0)
    end = time.monotonic() + DRAIN_S
    while memory_of.look("delivering") is not None and memory_of.stored > full // 2:
        check(time.monotonic() < end, f"half of it is still stored: {gateway.status()['routes']}\n"
                                      f"{gateway.log()}")
    harness.check_identity(gateway.counters())
    check(full > 5 << 20, f"the spool was never full: {full} bytes")
    check(memory_of.peak_kib <= limit_kib, f"{memory_of.peak_kib} KiB")
    print(f"{board}: {int(total) >> 10} MiB of RAM, up to {full >> 10} KiB stored, Private_Dirty "
          f"at most {memory_of.peak_kib} KiB")
    machine.cut()


def overlay(run, board="qemu-armv7"):
    """A state directory on an overlay whose upper layer is RAM: refused, and nothing written."""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, modules=["overlay"], sensors=[SIM])
    machine = gateway.boot(serve=False)
    machine.run("mkdir -p /run/up /run/work /run/low /run/over; "
                "mount -t overlay overlay -o lowerdir=/run/low,upperdir=/run/up,workdir=/run/work "
                "/run/over")
    code, said = machine.call("RUNNEL_STATE=/run/over/state runnel run")
    check(code == 78 and "overlay" in said and '"volatile": true' in said, f"{code}: {said}")
    check(machine.run("ls /run/up") == "", "something was written")
    code, said = machine.call("runnel check")
    check(code == 0, f"on the disk it is taken: {said}")
    print(f"{board}: refused with 78 and a remedy; on the disk beside it taken")
    machine.cut()


READ_ONLY = {
    "error": "disk=$(grep ' /data ' /proc/mounts | cut -d' ' -f1); "
             "echo 1 >/sys/fs/ext4/${disk##*/}/trigger_fs_error",
    "remount": "echo u >/proc/sysrq-trigger; "
               "until grep -q ' /data ext4 ro' /proc/mounts; do sleep 0.1; done",
}


def disk_error(run, board="qemu-armv7", how="error"):
    """ext4 becomes read-only (HOW: by an error under errors=remount-ro, or by an emergency
    remount), then the power goes: what was accepted before and behind that is delivered after the
    next boot."""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, sensors=[SIM], spool={"lanes": LANES})
    options = "dataopts=noatime,errors=remount-ro"
    machine = gateway.boot(link=False, volatile=True, options=options)
    wait_until("records on flash", lambda: gateway.counters()["stored"] > 0)
    send = "echo '{\"id\":%d}' | runnel send cli --lane alarm --timeout 3s"
    machine.run(send % 1)
    machine.run(READ_ONLY[how])
    code, said = machine.call("touch /data/new")
    check(code == 1 and "Read-only" in said, f"it can still be written: {code} {said}")
    codes = [machine.call(send % number)[0] for number in range(2, 6)]
    said = [line for line in gateway.log().splitlines() if "spool" in line][-1:]
    machine.cut()
    gateway.boot(volatile=True, options=options)
    wait_until("an empty spool", lambda: gateway.counters("alarm")["stored"] == 0 and
               gateway.counters("alarm")["delivered"] > 0)
    harness.check_identity(gateway.counters())
    gateway.machine.cut()
    accepted = {1} | {number for number, code in enumerate(codes, 2) if code == 0}
    found = set(guest.identities(sink))
    check(accepted <= found, f"lost: {accepted - found} of {accepted}")
    print(f"{board}, {how}: of 4 documents handed over behind it {codes.count(0)} were accepted, "
          f"and no accepted one was lost; the log said {said}")


def ubifs(run, board="qemu-armv7"):
    """The spool on UBIFS, on a NAND that the kernel simulates: accepted, killed, mounted again,
    delivered. (The simulated NAND lies in RAM, so no power cut of it can be played.)"""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, fs="none", sensors=[SIM],
                      modules=["zstd", "lzo", "deflate", "nandsim", "ubi", "ubifs"],
                      spool={"size": "8MiB", "lanes": LANES})
    for module in ("nandsim", "ubifs"):
        if not gateway.debian.has_module(module):
            raise harness.Skip(f"the kernel of {board} has no {module}")
    machine = gateway.boot(serve=False, memory_mib=256, link=False)
    machine.run("mtd=$(grep -m1 'NAND simulator' /proc/mtd | cut -d: -f1); "
                "ubiattach -m ${mtd#mtd} && ubimkvol /dev/ubi0 -N data -s 48MiB")
    machine.run("mount -t ubifs -o noatime ubi0:data /data")
    gateway.serve()
    send = "seq 1 500 | sed 's/.*/{\"id\":&}/' | runnel send cli --lane alarm"
    machine.run(send)
    counters = gateway.counters("alarm")
    check(counters["stored"] == 500, f"they are on flash: {counters}")
    machine.run("kill -9 $(pidof serve runnel) && sleep 1 && umount /data && "
                "mount -t ubifs -o noatime ubi0:data /data")
    gateway.serve()
    check(gateway.counters("alarm")["stored"] == 500, "they are still there")
    machine.link(True)
    wait_until("an empty spool", lambda: gateway.counters("alarm")["stored"] == 0)
    harness.check_identity(gateway.counters())
    check(set(range(1, 501)) <= set(guest.identities(sink)), "all of them arrived")
    print(f"{board}: 500 accepted on UBIFS, all there after kill -9 and a new mount, all delivered")
    machine.cut()
