#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Each call in its turn fails while the spool works: memory, or a write, size or sync of a file.

failer.c, preloaded, makes one call fail or all from there on, until the operation is over. Nothing
crashes or hangs; a fault of a file is in the log; when it is over the spool goes on by itself: a
start works, records are accepted. powercut_check then compares what is left with what was promised.
"""
import argparse
import collections
import concurrent.futures
import errno
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

OPERATIONS = ("create", "append", "drain", "evict", "restart", "recover", "stop", "grow", "shrink")
# What fails, with what, how many calls (0: all from there on).
FAULTS = (("memory", errno.ENOMEM, 1), ("memory", errno.ENOMEM, 0), ("files", errno.EIO, 1),
          ("files", errno.EIO, 0), ("files", errno.ENOSPC, 1), ("files", errno.ENOSPC, 0))
TIMEOUT_S = 120
FAILURES_SHOWN = 10
REPORT_BYTES = 24


def run(options, place, operation, fault, at):
    """One operation with its fault at the call AT: (calls, failed, what is wrong or None)."""
    calls, number, count = fault
    state, reports = place / "spool", place / "reports"
    with reports.open("wb") as sink:
        environment = {**os.environ, "LD_PRELOAD": str(options.programs / "libiofault_failer.so"),
                       "FAILER_CALLS": calls, "FAILER_AT": str(at), "FAILER_COUNT": str(count),
                       "FAILER_ERRNO": str(number), "POWERCUT_REPORT": str(sink.fileno())}
        with subprocess.Popen([options.programs / options.load, operation, state],
                              env=environment, pass_fds=[sink.fileno()], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as load:
            try:
                said, log = load.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                load.kill()
                return 0, 1, f"hangs: {load.communicate()[1][-400:]}"
    if load.returncode < 0:
        return 0, 1, f"killed: {signal.Signals(-load.returncode).name}: {log[-400:]}"
    found = re.match(r"calls (\d+) failed (\d+) files (\d+)\n", said)
    if not found or load.returncode != 0:
        return 0, 1, f"stuck: {log[-600:]}"
    made, failed, files = map(int, found.groups())
    if files and ' error="' not in log:
        return made, failed, f"believed: nothing in the log of {files} failures: {log[-400:]}"
    length = reports.stat().st_size // REPORT_BYTES * REPORT_BYTES
    verdict = subprocess.run([options.programs / "powercut_check", state, reports, str(length)],
                             capture_output=True, text=True, check=False,
                             timeout=TIMEOUT_S).stdout.splitlines()
    if not verdict or not verdict[-1].startswith("ok"):
        return made, failed, verdict[-1] if verdict else "no verdict"
    return made, failed, None


class Sweep:
    """All runs, many at a time: most of them wait for the second attempt of a commit."""

    def __init__(self, options):
        self.options = options
        self.failures = []
        self.runs = self.hit = 0

    def one(self, operation, fault, at):
        with tempfile.TemporaryDirectory(prefix="runnel-iofault-", dir=self.options.base) as place:
            return (at, *run(self.options, pathlib.Path(place), operation, fault, at))

    def points(self, pool, operation):
        """(fault, call) of everything that is to fail: as many calls as it makes without faults."""
        faults = [fault for fault in FAULTS if fault[0] in self.options.calls]
        counts = {calls: pool.submit(self.one, operation, (calls, errno.EIO, 1), 0)
                  for calls in self.options.calls}
        for fault in faults:
            at, made, _, wrong = counts[fault[0]].result()
            if wrong:
                self.failures.append((f"{operation} without a fault", wrong))
            step = self.options.step
            for at in range(1 + self.options.seed % step, made + 1, step):
                yield fault, at

    def sweep(self, pool, operation):
        jobs = {pool.submit(self.one, operation, fault, at): fault
                for fault, at in self.points(pool, operation)}
        for job in concurrent.futures.as_completed(jobs):
            calls, number, count = jobs[job]
            at, _, failed, wrong = job.result()
            self.runs += 1
            self.hit += failed > 0
            if wrong:
                often = "once" if count else "from there on"
                self.failures.append(
                    (f"{operation}: {calls}, {errno.errorcode[number]}, call {at}, {often}", wrong))

    def all(self):
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for operation in self.options.operations:
                started, before = time.monotonic(), (self.runs, len(self.failures))
                self.sweep(pool, operation)
                print(f"{operation:<8} {self.runs - before[0]:6} faults "
                      f"{len(self.failures) - before[1]:6} failures "
                      f"{time.monotonic() - started:6.1f} s", flush=True)


def judge(sweep, must_find):
    total = f"{sweep.runs} runs, in {sweep.hit} something failed"
    kinds = collections.Counter(why.partition(":")[0] for _, why in sweep.failures)
    for about, why in sweep.failures[:FAILURES_SHOWN]:
        print(f"     {about}: {why}")
    if must_find:
        found = [why for _, why in sweep.failures if re.search(must_find, why)]
        print(f"{total}: the planted bug is found in {len(found)} of them: {dict(kinds)}")
        return 0 if found else 1
    print(f"{total}: {len(sweep.failures)} failures {dict(kinds) if kinds else ''}")
    return 1 if sweep.failures or not sweep.hit else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True,
                        help="the folder with iofault_load, powercut_check and the failer")
    parser.add_argument("--load", default="iofault_load", help="another one, with a planted bug")
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    parser.add_argument("--calls", default="memory,files")
    parser.add_argument("--step", type=int, default=1, help="every which call fails")
    parser.add_argument("--seed", type=int, default=0, help="which of these is the first")
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--must-find", metavar="REGEX", help="a control: failures are wanted")
    options = parser.parse_args()
    options.programs = options.programs.resolve()
    options.operations = options.operations.split(",")
    options.calls = options.calls.split(",")
    memory = pathlib.Path("/dev/shm")
    options.base = memory if os.access(memory, os.W_OK) else None
    return options


def main():
    options = arguments()
    sweep = Sweep(options)
    sweep.all()
    return judge(sweep, options.must_find)


if __name__ == "__main__":
    sys.exit(main())
