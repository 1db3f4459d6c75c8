#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Power cuts while a device's key and certificate are replaced: after each the two belong together.

powercut_pair, recorded by recorder.c, puts a key and its certificate into the place of none, of
another pair, or of one that lies elsewhere as plain files. The states that a cut may leave are made
as powercut.py makes them; in each the files that a reader sees are whole and of one pair, one is
there if there was one before, and what was reported is not taken back. Then the work goes on: the
next pair is put into use, and in some states that is cut as well.
"""
import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import powercut
from powercut import Machine, State, states

LINES = 60
FAILURES_SHOWN = 5
# What there is before, and where the configuration looks for it.
WORKLOADS = {"first": (None, "state"), "renew": ("a", "state"), "plain": ("a", "etc")}


def text_of(kind, name):
    return f"{kind} {name}\n" * LINES


class Rig:
    """The folder of one state, and what runs there."""

    def __init__(self, options, place, files_in):
        self.options = options
        self.place = place
        self.root = place / "state"
        self.log = place / "log"
        self.cert_file = self.root / files_in / "device.pem"
        self.key_file = self.root / files_in / "device.key"

    def clear(self, state):
        shutil.rmtree(self.place, ignore_errors=True)
        state.write(self.place)

    def run(self, name, recorded=False):
        environment = {"PATH": os.defpath}
        if recorded:
            environment |= {"LD_PRELOAD": str(self.options.programs / "libpowercut_recorder.so"),
                            "POWERCUT_ROOT": str(self.root), "POWERCUT_LOG": str(self.log),
                            "POWERCUT_REPORT": str(powercut.REPORT_FD)}
        load = self.options.load if recorded else "powercut_pair"
        return subprocess.run([self.options.programs / load, self.root / "state", self.cert_file,
                               self.key_file, name], env=environment, capture_output=True,
                              text=True, timeout=60, check=False)

    def base(self, before):
        """The state that a workload starts from."""
        self.clear(State("", {}, ["state", "etc"], b""))
        if before is not None and self.cert_file.parent.name == "etc":
            self.cert_file.write_text(text_of("cert", before))
            self.key_file.write_text(text_of("key", before))
        elif before is not None:
            result = self.run(before)
            if result.returncode != 0:
                sys.exit(f"it did not begin well: {result.stderr}")
        return self.state()

    def state(self):
        """All that is there now, as a state."""
        paths = list(self.root.rglob("*"))
        files = {str(path.relative_to(self.root)):
                 powercut.Link(os.readlink(path)) if path.is_symlink() else path.read_bytes()
                 for path in paths if path.is_symlink() or path.is_file()}
        directories = [str(path.relative_to(self.root)) for path in sorted(paths)
                       if path.is_dir() and not path.is_symlink()]
        return State("", files, directories, b"")

    def record(self, base, name):
        """What putting NAME into use did to BASE."""
        self.clear(base)
        machine, again = Machine.of(base, self.root), Machine.of(base, self.root)
        result = self.run(name, recorded=True)
        if result.returncode != 0:
            raise ValueError(result.stderr.strip())
        entries = powercut.read_log(self.log)
        for entry in entries:
            again.begin(entry)
            again.complete(entry)
        powercut.check_log(again, self.root)
        return machine, entries

    def whose(self, kind, path):
        """The name of whose file it is; None: there is none."""
        if not path.exists():
            return None
        found = re.match(rf"{kind} (\w+)\n", text := path.read_text(errors="replace"))
        return found[1] if found and text == text_of(kind, found[1]) else "torn"

    def seen(self):
        return self.whose("cert", self.cert_file), self.whose("key", self.key_file)

    def faults(self, before, name, reports):
        cert, key = self.seen()
        waiting = self.whose("key", self.root / "state/identity/next.key")
        if "torn" in (cert, key, waiting):
            yield f"torn: certificate {cert}, key {key}, next key {waiting}"
        elif cert != key:
            yield f"mixed: certificate {cert}, key {key}"
        elif cert not in (before, name):
            yield f"gone: {cert} instead of {before} or {name}"
        if b"pair" in reports and (cert, key) != (name, name):
            yield f"lost: certificate {cert}, key {key} instead of {name}"
        elif b"key" in reports and name not in (key, waiting):
            yield f"lost: the next key is {waiting} instead of {name}"

    def goes_on(self, name):
        """What is wrong behind the next pair, which is put into use without a cut."""
        result = self.run(name)
        if result.returncode != 0 or self.seen() != (name, name):
            yield f"stuck: {self.seen()} {result.stderr}"
        left = [str(path.relative_to(self.root)) for path in self.root.rglob("*")
                if path.suffix in (".new", ".key", ".pem")]
        files = self.cert_file.parent.name
        if len(left) != 4:
            yield f"left: {left} in {files}"


class Cutter:
    def __init__(self, options, place):
        self.options = options
        self.place = place
        self.generator = random.Random(options.seed)
        self.failures = []
        self.states = self.doubles = 0

    def check(self, rig, state, before, name):
        rig.clear(state)
        faults = list(rig.faults(before, name, state.reports))
        self.failures += [(state.about, fault) for fault in faults]
        return not faults

    def cut(self, workload):
        before, files_in = WORKLOADS[workload]
        rig = Rig(self.options, self.place / workload, files_in)
        machine, entries = rig.record(rig.base(before), "b")
        share = self.options.states // len(WORKLOADS)
        for state in states(self.generator, machine, entries, share, workload, {}):
            self.states += 1
            if not self.check(rig, state, before, "b"):
                continue
            now = rig.seen()[0]
            self.failures += [(state.about, fault) for fault in rig.goes_on("c")]
            if self.generator.random() < 0.05:
                self.cut_again(rig, state, now)

    def cut_again(self, rig, base, before):
        try:
            machine, entries = rig.record(State("", base.files, base.directories, b""), "c")
        except ValueError as error:
            self.failures.append((base.about, f"stuck: {error}"))
            return
        for state in states(self.generator, machine, entries, 20, f"{base.about}; again", {}):
            self.doubles += 1
            if self.check(rig, state, before, "c"):
                self.failures += [(state.about, fault) for fault in rig.goes_on("d")]


def judge(cutter, must_find):
    total = f"{cutter.states} states and {cutter.doubles} double cuts"
    found = [why for _, why in cutter.failures if must_find and re.search(must_find, why)]
    kinds = collections.Counter(why.partition(":")[0] for _, why in cutter.failures)
    print(f"{total}: {dict(kinds) or 'no failures'}")
    for about, why in cutter.failures[:FAILURES_SHOWN]:
        print(f"     {about}: {why}")
    if must_find:
        return 0 if found else 1
    return 1 if cutter.failures or cutter.doubles == 0 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True,
                        help="the folder with powercut_pair and the recorder")
    parser.add_argument("--load", default="powercut_pair", help="another, with a planted bug")
    parser.add_argument("--states", type=int, default=300, help="at about how many to look")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--must-find", metavar="REGEX", help="a control: failures are wanted")
    options = parser.parse_args()
    options.programs = options.programs.resolve()
    with powercut.scratch() as place:
        cutter = Cutter(options, place)
        for workload in WORKLOADS:
            cutter.cut(workload)
        return judge(cutter, options.must_find)


if __name__ == "__main__":
    sys.exit(main())
