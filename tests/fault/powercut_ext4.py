#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Power cuts of a real file system (P1, P2): ext4 on a loop device is shut down under the spool.

FS_IOC_SHUTDOWN without a flush of the journal ends all writing at once: what had not reached the
device, data and metadata alike, is lost. After the next mount, which replays the journal,
powercut_check holds the spool to what powercut_load had reported. powercut.py looks at far more
states of the file; here the states of ext4 itself, with its ordered data, are the real ones.

Each round takes the next workload and cuts when so many reports were made as chance says, which
follows from --seed; how far the work is by then is up to the machine. Needs root.
"""
import argparse
import array
import contextlib
import fcntl
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import own_mounts

WORKLOADS = ("append", "drain", "restart", "create", "evict")
REPORT_BYTES = 24
IMAGE_BYTES = 64 * 1024 * 1024
FS_IOC_SHUTDOWN = 0x8004587d
NO_LOG_FLUSH = 2
DEADLINE_S = 60
SKIPPED = 77


class Skip(Exception):
    """Why this machine cannot do it."""


def call(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True,
                          text=True).stdout


class FileSystem:
    """ext4 on a loop device, which can be cut."""

    def __init__(self, folder):
        self.image = folder / "image"
        self.mount_point = folder / "mount"
        self.device = None
        self.is_mounted = False

    def __enter__(self):
        self.mount_point.mkdir()
        with self.image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        try:
            call("mkfs.ext4", "-q", self.image)
            self.device = call("losetup", "--find", "--show", self.image).strip()
            self.mount()
        except (OSError, subprocess.CalledProcessError) as fault:
            self.__exit__()
            raise Skip(f"no loop device with ext4: {fault}") from None
        return self

    def __exit__(self, *ignored):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.unmount()
        if self.device is not None:
            subprocess.run(["losetup", "--detach", self.device], check=False)
            self.device = None

    def mount(self):
        call("mount", "-o", "data=ordered", self.device, self.mount_point)
        self.is_mounted = True

    def unmount(self):
        if self.is_mounted:
            call("umount", self.mount_point)
            self.is_mounted = False

    def remount(self):
        """After a cut. Somebody's last reference may have kept it alive in its cut-off state."""
        end = time.monotonic() + DEADLINE_S
        probe = self.mount_point / "probe"
        while True:
            self.unmount()
            self.mount()
            try:
                probe.touch()
                probe.unlink()
                return
            except OSError:
                if time.monotonic() > end:
                    raise

    def cut(self):
        root = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(root, FS_IOC_SHUTDOWN, array.array("I", [NO_LOG_FLUSH]))
        except OSError as fault:
            raise Skip(f"ext4 cannot be shut down: {fault}") from None
        finally:
            os.close(root)


class Round:
    def __init__(self, options, folder, file_system, number):
        self.options = options
        self.file_system = file_system
        self.workload = WORKLOADS[number % len(WORKLOADS)]
        self.state = file_system.mount_point / f"state-{number}"
        self.reports = folder / f"reports-{number}"
        self.seed = options.seed * 1000 + number

    def start(self):
        """powercut_load at work."""
        reports = os.open(self.reports, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        try:
            return subprocess.Popen(
                [self.options.programs / self.options.load, self.workload, self.state,
                 str(self.seed), "1"],
                env={"PATH": os.environ["PATH"], "POWERCUT_REPORT": str(reports)},
                pass_fds=(reports,), stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
        finally:
            os.close(reports)

    def report_count(self):
        return self.reports.stat().st_size // REPORT_BYTES

    def measure(self):
        """How many reports the workload makes when nothing is cut."""
        load = self.start()
        if load.wait(DEADLINE_S) != 0:
            sys.exit(f"{self.workload}: the load ended with {load.returncode}")
        shutil.rmtree(self.state)
        return self.report_count()

    def run(self, generator, most):
        """Cuts and checks: powercut_check's verdict."""
        at = generator.randrange(most)
        pause_s = generator.random() * 0.003      # into the middle of a commit
        load = self.start()
        end = time.monotonic() + DEADLINE_S
        while self.report_count() < at and load.poll() is None and time.monotonic() < end:
            time.sleep(0)
        time.sleep(pause_s)
        self.file_system.cut()
        time.sleep(0.005)                         # whoever believes in a failed write says so now
        load.kill()
        load.wait()
        self.file_system.remount()
        count = self.report_count()
        self.state.mkdir(exist_ok=True)           # its name may be lost with all the rest
        verdict = call(self.options.programs / "powercut_check", self.state, self.reports,
                       count * REPORT_BYTES).strip()
        print(f"{self.workload:8} seed {self.seed}, cut after {count} of {most} reports: {verdict}",
              flush=True)
        if verdict.startswith("ok"):
            shutil.rmtree(self.state)
        return verdict


def run_rounds(options, folder, file_system):
    """The failures."""
    generator = random.Random(options.seed)
    most, failures = {}, []
    for number in range(options.rounds):
        this = Round(options, folder, file_system, number)
        if this.workload not in most:
            most[this.workload] = this.measure()
        verdict = this.run(generator, most[this.workload])
        if not verdict.startswith("ok"):
            failures.append(verdict.removeprefix("FAIL "))
    return failures


def judge(options, failures):
    """The exit code. A control has to find its planted bug."""
    if options.must_find:
        found = any(re.search(options.must_find, failure) for failure in failures)
        print(f"the planted bug was {'' if found else 'not '}found", flush=True)
        return 0 if found else 1
    print(f"{options.rounds} cuts with --seed {options.seed}, {len(failures)} failed", flush=True)
    return 1 if failures else 0


def read_options(description, load):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000000))
    parser.add_argument("--load", default=load)
    parser.add_argument("--must-find", metavar="REGEX", help="a control: a failure of this kind")
    return parser.parse_args()


def in_file_system(prefix, work):
    """WORK(folder, file system): the exit code of it, or that this machine cannot do it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    try:
        if os.geteuid() != 0:
            raise Skip("mounting a loop device needs root")
        own_mounts.enter()
        with FileSystem(folder) as file_system:
            return work(folder, file_system)
    except Skip as reason:
        print(f"SKIP: {reason}")
        return SKIPPED
    finally:
        if not os.path.ismount(folder / "mount"):
            shutil.rmtree(folder, ignore_errors=True)


def main():
    options = read_options(__doc__, "powercut_load")
    return in_file_system("runnel-ext4-", lambda folder, file_system: judge(
        options, run_rounds(options, folder, file_system)))


if __name__ == "__main__":
    sys.exit(main())
