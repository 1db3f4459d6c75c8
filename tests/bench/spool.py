#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What the spool by itself writes, holds and costs (spool_bench.c), in simulated time.

  groups    bytes and flushes at the block layer per record, by records per commit, while a backlog
            grows (offline) and while a route takes it from flash (online), beside older figures
  hour      hours of 10 readings a second that two routes take in time: the file is not written
  offline   an hour that nobody takes: bytes at the block layer against the formula of the design
  capacity  how many readings a file holds; nothing of it is lost, or sent again after a cut

Block layer: a loop device with ext4, which needs root; groups and offline are left out without it.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import bench  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

CASES = ("hour", "offline", "capacity", "groups")
RECORDS = {1: 3000, 16: 16000, 64: 32000, 256: 64000, 1024: 102400}
# Measured for 180-byte JSON readings before this spool was built: bytes and flushes per record of
# LMDB with one record per key, a route taking them; and of a prototype with compressed blocks and a
# journal of whole pages before them.
ONE_PER_KEY = {1: (16524, 2.01), 16: (1272, 0.130), 64: (496, 0.035), 256: (305, 0.012),
               1024: (263, 0.006)}
BLOCKS_ONLINE = {1: (4386, 1.03), 16: (256, 0.063), 64: (64, 0.016), 256: (32, 0.004)}
BLOCKS_OFFLINE = {1: (4549, 1.04), 16: (323, 0.066), 64: (99, 0.016), 256: (57, 0.004)}
# What ext4 adds to the spool's own pages: an inode's times, now and then.
FILE_SYSTEM_SHARE = 0.05
FILE_SYSTEM_BYTES = 128 * 1024
FLUSHES_FIELD = 15


def pairs(line):
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line)}


class Program:
    """spool_bench, which stops for us before and behind what is measured."""

    def __init__(self, run, flash, state, *arguments):
        self.flash = flash
        self.popen = subprocess.Popen(
            [run.program("tests/bench/spool_bench"), arguments[0], state, *arguments[1:]],
            env={"SPOOL_BENCH_STEPS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)

    def read(self):
        line = self.popen.stdout.readline().strip()
        check(line, "spool_bench ended early: see above")
        return line

    def counters(self):
        """(bytes, flushes) at the block layer."""
        written = self.flash.written_bytes()
        if written is None:
            return 0, 0
        name = pathlib.Path(self.flash.device).name
        return written, int(pathlib.Path(f"/sys/block/{name}/stat").read_text()
                            .split()[FLUSHES_FIELD])

    def go_on(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def measure(self):
        """What it printed, with bytes and flushes beside."""
        check(self.read() == "ready", "spool_bench is not ready")
        before = self.counters()
        self.go_on()
        found = pairs(self.read())
        check(self.read() == "done", "spool_bench is not done")
        after = self.counters()
        self.go_on()
        check(self.popen.wait() == 0, "a promise does not hold: see above")
        return {**found, "bytes": after[0] - before[0], "flushes": after[1] - before[1]}


def measure_groups(run, flash):
    print("bytes and flushes per record at the block layer; in brackets: older figures")
    print(f"{'records':>9} {'a commit':>8} {'offline':>16} {'':>16} {'online':>16} {'':>16} "
          f"{'one per key':>16}")
    for shape in ("readings", "documents"):
        for group, records in RECORDS.items():
            cells = []
            for mode, older in (("offline", BLOCKS_OFFLINE), ("online", BLOCKS_ONLINE)):
                state = flash.mount / f"{shape}-{group}-{mode}"
                found = Program(run, flash, state, "groups", shape, mode, str(group),
                                str(records)).measure()
                cells.append(cell(found["bytes"] / found["records"],
                                  found["flushes"] / found["records"]))
                known = older.get(group) if shape == "documents" else None
                cells.append(f"({cell(*known)})" if known else "")
                subprocess.run(["rm", "-r", state], check=True)
            cells.append(f"({cell(*ONE_PER_KEY[group])})" if shape == "documents" else "")
            print(f"{shape:>9} {group:>8} " + " ".join(f"{text:>16}" for text in cells),
                  flush=True)


def cell(count, flushes):
    return f"{count:.1f} / {flushes:.3f}"


def measure_hour(run, flash, mode, hours):
    found = Program(run, flash, flash.mount / mode, "hour", mode, str(hours)).measure()
    text = f"{hours} h {mode}: {found['records']:.0f} readings, {found['commits']:.0f} commits, " \
           f"{found['formula_bytes']:.0f} bytes by the formula"
    if flash.device is not None:
        text += f", {found['bytes']} bytes at the block layer"
        most = found["formula_bytes"] * (1 + FILE_SYSTEM_SHARE) + FILE_SYSTEM_BYTES
        check(found["bytes"] <= most, f"more than {most:.0f} bytes: {text}")
    print(text, flush=True)


def measure_capacity(run, folder, mib, group):
    result = subprocess.run(
        [run.program("tests/bench/spool_bench"), "capacity", folder / f"by-{group}", str(mib),
         str(group)], stdout=subprocess.PIPE, text=True, check=False)
    print(f"{group} readings a commit: {result.stdout.strip()}", flush=True)
    check(result.returncode == 0, "a promise does not hold: see above")


def scenario(run, options):
    memory = pathlib.Path("/dev/shm")     # the device's own writes shall not wait for a disk
    with tempfile.TemporaryDirectory(prefix="runnel-flash-",
                                     dir=memory if os.access(memory, os.W_OK) else None) as place, \
            bench.Flash(pathlib.Path(place)) as flash:
        if "hour" in options.cases:
            measure_hour(run, flash, "online", options.hours)
        if "offline" in options.cases and flash.device is not None:
            measure_hour(run, flash, "offline", 1)
        if "groups" in options.cases and flash.device is not None:
            measure_groups(run, flash)
    for group in options.groups if "capacity" in options.cases else ():
        measure_capacity(run, run.folder, options.mib, group)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--hours",), {"type": int, "default": 3}),
        (("--mib",), {"type": int, "default": 4, "help": "of a full file (4)"}),
        (("--groups",), {"type": int, "nargs": "+", "default": [50],
                         "help": "readings a commit while it is filled (50)"}),
        (("cases",), {"nargs": "*", "default": list(CASES), "metavar": "CASE",
                      "type": harness.one_of(CASES)}))
    # On a disk: pages of a tmpfs are never clean and would count as the process's own.
    tempfile.tempdir = str(pathlib.Path(chosen.build).resolve())
    harness.main(chosen, lambda run: scenario(run, chosen))
