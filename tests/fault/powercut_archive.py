#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Power cuts of an archive's medium: ext4 on a loop device is shut down while objects are stored.

After the next mount each object under a name of its own is whole, by the hash that the name has,
and each that was reported to be stored is there. Needs root.
"""
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time

import powercut_ext4
from powercut_ext4 import DEADLINE_S

OBJECTS = 200
NAME = re.compile(r"-([0-9a-f]{16})\.ndjson$")


def start(options, archive, reports, seed):
    output = os.open(reports, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    try:
        return subprocess.Popen([options.programs / options.load, archive, str(seed)],
                                env={"PATH": os.environ["PATH"], "POWERCUT_REPORT": str(output)},
                                pass_fds=(output,), stdin=subprocess.DEVNULL)
    finally:
        os.close(output)


def faults_of(archive, reported):
    names = {str(path.relative_to(archive)) for path in archive.rglob("dt=*/*/*/*")}
    for name in sorted(names):
        digest = hashlib.sha256((archive / name).read_bytes()).hexdigest()
        if not digest.startswith(NAME.search(name).group(1)):
            yield f"torn: {name} has {(archive / name).stat().st_size} bytes"
    for name in reported:
        if name not in names:
            yield f"lost: {name}"


def run_round(options, folder, file_system, number):
    """The faults after one cut."""
    archive = file_system.mount_point / f"archive-{number}"
    reports = folder / f"reports-{number}"
    seed = options.seed * 1000 + number
    generator = random.Random(seed)
    at, pause_s = generator.randrange(OBJECTS), generator.random() * 0.003
    archive.mkdir()
    os.sync()
    load = start(options, archive, reports, seed)
    end = time.monotonic() + DEADLINE_S
    while reports.read_bytes().count(b"\n") < at and load.poll() is None:
        if time.monotonic() > end:
            sys.exit(f"the load did not store {at} objects")
    time.sleep(pause_s)                           # into the middle of the next one
    file_system.cut()
    load.wait(DEADLINE_S)
    file_system.remount()
    reported = reports.read_text().splitlines()
    faults = list(faults_of(archive, reported))
    shutil.rmtree(archive)
    print(f"seed {seed}, cut after {len(reported)} objects: {faults[:3] or 'ok'}", flush=True)
    return faults


def run_rounds(options, folder, file_system):
    """The faults of all of them."""
    return [fault for number in range(options.rounds)
            for fault in run_round(options, folder, file_system, number)]


def main():
    options = powercut_ext4.read_options(__doc__, "powercut_archive")
    return powercut_ext4.in_file_system(
        "runnel-archive-", lambda folder, file_system: powercut_ext4.judge(
            options, run_rounds(options, folder, file_system)))


if __name__ == "__main__":
    sys.exit(main())
