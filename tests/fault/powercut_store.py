#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Power cuts of what was applied (config_store.h): behind every state that a cut may leave the store
is as it was before the step that was cut, or as that step left it, and it goes on from there.

The states are those of powercut.py, of which this has the recorder and the machine.
"""
import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys

import powercut
from powercut import Machine, Recording, State, check_log, read_log


class Steps(Recording):
    def run(self, workload, seed, run_number, kill=None):
        self.options.load = self.options.store
        environment = {
            "PATH": "/usr/bin:/bin",
            "LD_PRELOAD": str(self.options.programs / "libpowercut_recorder.so"),
            "POWERCUT_ROOT": str(self.root), "POWERCUT_LOG": str(self.log),
            "POWERCUT_REPORT": str(powercut.REPORT_FD)}
        command = [self.options.programs / self.options.store, "work", self.root / "var", str(seed)]
        return subprocess.run(command, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120, check=False)


class Checker:
    """powercut_store check, one state after the other."""

    def __init__(self, options, place):
        self.place = place
        self.program = subprocess.Popen([options.programs / "powercut_store", "check"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def line_of(self, state):
        state.write(self.place)
        print(self.place / "state" / "var", file=self.program.stdin, flush=True)
        line = self.program.stdout.readline().rstrip("\n")
        shutil.rmtree(self.place)
        return line

    def close(self):
        self.program.stdin.close()
        self.program.wait()


def fault_of(line, state, reports):
    """What is wrong with what is there, or None. At first nothing was applied, nor reported."""
    done = state.reports.count(b"\n")
    allowed = reports[max(done - 1, 0):done + 1]
    if line in allowed:
        return None
    if re.search(r"\b(missing|torn|nowhere)\b", line):
        return f"lost: {line}"
    if line.startswith("good "):
        return f"mixed: {line} instead of {' or '.join(allowed)}"
    return f"closed: {line}"


def cut(options, place, seed):
    """The number of states behind the cuts of one recording, and what is wrong with them."""
    recording = Steps(options, place / "recording")
    result = recording.run("work", seed, 0)
    if result.returncode != 0:
        sys.exit(f"the steps did not end well: {result.returncode} {result.stderr}")
    entries = read_log(recording.log)
    empty = State("", {}, [], b"")
    (place / "empty").mkdir()
    machine, again = Machine.of(empty, place / "empty"), Machine.of(empty, place / "empty")
    for entry in entries:
        again.begin(entry)
        again.complete(entry)
    left = check_log(again, recording.root)
    reports = again.reports.decode().splitlines()
    checker = Checker(options, place / "state")
    count, faults = 0, []
    generator = random.Random(seed)
    for state in powercut.states(generator, machine, entries, options.states, f"seed {seed}", left):
        fault = fault_of(checker.line_of(state), state, reports)
        count += 1
        if fault:
            faults.append(f"{fault} ({state.about})")
    checker.close()
    return count, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="their folder")
    parser.add_argument("--store", default="powercut_store", help="another one: a planted bug")
    parser.add_argument("--states", type=int, default=1500, help="at about how many to look")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--must-find", metavar="REGEX", help="a control: failures are wanted")
    options = parser.parse_args()
    options.programs = options.programs.resolve()
    with powercut.scratch() as place:
        count, faults = cut(options, place, options.seed)
    print(f"{count} states (seed {options.seed}): {len(faults)} failures")
    print("\n".join(faults[:5]))
    if options.must_find:
        return 0 if any(re.search(options.must_find, fault) for fault in faults) else 1
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main())
