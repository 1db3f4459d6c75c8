# SPDX-License-Identifier: Apache-2.0
"""
The clocks of an agent that runs with clock_shim.c: wrong, stepped, or those of another boot.
"""
import functools
import pathlib
import re
import struct
import subprocess
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position

DAY_MS = 24 * 3600 * 1000
KERNELS, UNSYNCED, SYNCED = 0, 1, 2  # what the kernel says of its clock


@functools.lru_cache
def sanitizers(program):
    """The libraries that want to stand in front of all others in a sanitized PROGRAM."""
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"=> (/\S*/lib[atu]+san\S*)", linked)


class Clocks:
    """Of what is started with an environment that preload() went into."""

    def __init__(self, run, name="clocks"):
        self.library = run.build / "tests/fault/libclock_shim.so"
        if not self.library.is_file():
            raise harness.Skip("there is no clock_shim in this build")
        self.program = run.program("runnel")
        self.path = run.folder / name
        self.wall_ms = self.boot_ms = 0
        self.sync = KERNELS
        self.boot_id = ""
        self.write()

    def write(self):
        """In its place, for it is mapped."""
        content = struct.pack("<qqq36s", self.wall_ms, self.boot_ms, self.sync,
                              self.boot_id.encode())
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(content)

    def preload(self, environment):
        libraries = [*sanitizers(self.program), self.library]
        environment["LD_PRELOAD"] = ":".join(map(str, libraries))
        environment["CLOCK_SHIM"] = str(self.path)

    def set(self, **members):
        """wall_ms and boot_ms: ahead of this machine's clocks; sync; boot_id."""
        for name, value in members.items():
            setattr(self, name, value)
        self.write()

    def step(self, milliseconds):
        """What `date -s` does."""
        self.set(wall_ms=self.wall_ms + milliseconds)

    def suspend(self, milliseconds):
        """Asleep for so long."""
        self.set(wall_ms=self.wall_ms + milliseconds, boot_ms=self.boot_ms + milliseconds)

    def reboot(self, wall_s, uptime_s=30):
        """A boot of its own that has run for UPTIME_S; its wall clock says WALL_S."""
        up_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
        self.set(wall_ms=round(wall_s * 1000) - time.time_ns() // 1000000,
                 boot_ms=round(uptime_s * 1000) - up_ms, boot_id=str(uuid.uuid4()))
