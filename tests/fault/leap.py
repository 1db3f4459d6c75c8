# SPDX-License-Identifier: Apache-2.0
"""
The time of programs that run with leap.c: how far it may leap, and where it is.
"""
import mmap
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position

SECOND_NS = 1000000000
LEAPT, UNTIL, MUTE = range(3)  # the places of struct control


class Leap:
    """Time stands still, as far as leaps go, until pass_to() or until() lets some of it pass."""

    def __init__(self, run, name="leap"):
        self.library = run.build / "tests/fault/libfault_leap.so"
        if not self.library.is_file():
            raise harness.Skip(f"{self.library} is not there: a sanitizer or another machine")
        self.path = run.folder / name
        self.path.write_bytes(bytes(24))
        with self.path.open("r+b") as file:
            self.control = mmap.mmap(file.fileno(), 0)

    def environment(self, *behind, follows=False):
        """For the program; FOLLOWS: it only has the clocks. BEHIND: more to preload."""
        environment = {"LD_PRELOAD": ":".join(map(str, (self.library, *behind))),
                       "RUNNEL_LEAP": str(self.path)}
        return {**environment, "RUNNEL_FOLLOW": "1"} if follows else environment

    def get(self, place):
        return struct.unpack_from("<q", self.control, 8 * place)[0]

    def set(self, place, value):
        struct.pack_into("<q", self.control, 8 * place, value)

    def leapt_s(self):
        return self.get(LEAPT) / SECOND_NS

    def now(self):
        """Seconds since 1970 by the clocks that leap."""
        return time.time() + self.leapt_s()

    def until(self, seconds):
        """The program's clocks may leap to so many seconds from now."""
        self.set(UNTIL, time.monotonic_ns() + self.get(LEAPT) + round(seconds * SECOND_NS))

    def skip(self, seconds):
        """So long nothing runs."""
        self.set(LEAPT, self.get(LEAPT) + round(seconds * SECOND_NS))
