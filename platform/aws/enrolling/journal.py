# SPDX-License-Identifier: Apache-2.0
"""
What was asked of IoT and what came of it, as lines of JSON in the folder of the requests.

IoT makes another certificate each time it is asked, has no token to tell a repetition by, and lists
certificates without their keys. So the question is on the disk before it goes out: one without an
answer means that there may be a certificate that nobody knows, and the registry is searched for it.
The journal only saves work. Without it the same is found by searching.
"""
import collections
import fcntl
import json
import os
import threading
import time

from .faults import Stop

NAME = "enroll.journal"


class Journal:
    """
    The journal of FOLDER; WHERE is the account and region, others' lines are passed over. One
    process has it at a time.
    """

    def __init__(self, folder, where, now=time.time):
        self.where = where
        self.now = now
        self.lock = threading.Lock()
        self.asks = collections.Counter()   # key: questions without an answer
        self.asked_at = {}                  # key: when last
        self.made = {}                      # key: id of its certificate
        self.finished = set()               # (thing, key, id)
        self.keys = {}                      # id: key, of certificates that were looked at
        try:
            self.file = open(folder / NAME, "a+b")
        except OSError as error:
            raise Stop(f"{folder / NAME}: {error.strerror}") from None
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise Stop(f"another enroll is at work in {folder}") from None
        self._read()

    def close(self):
        """Lets another process have it."""
        self.file.close()

    def _read(self):
        self.file.seek(0)
        data = self.file.read()
        if data and not data.endswith(b"\n"):
            self.file.write(b"\n")
        for line in data.splitlines():
            try:
                entry = json.loads(line)
                if entry["where"] == self.where:
                    self._apply(entry)
            except (ValueError, KeyError, TypeError):
                continue        # torn by what ended the last run

    def _apply(self, entry):
        what, key = entry["what"], entry["key"]
        if what == "asked":
            self.asks[key] += 1
            self.asked_at[key] = entry["at"]
        elif what == "made":
            self.asks[key] -= 1
            self.made[key] = entry["id"]
            self.keys[entry["id"]] = key
        elif what == "refused":
            self.asks[key] -= 1
        elif what == "settled":
            self.asks[key] = 0
        elif what == "found":
            self.asks[key] = max(0, self.asks[key] - 1)
            self.made[key] = entry["id"]
            self.keys[entry["id"]] = key
        elif what == "seen":
            self.keys[entry["id"]] = key
        elif what == "done":
            self.finished.add((entry["thing"], key, entry["id"]))

    def _write(self, what, key, is_durable=True, **more):
        entry = {"where": self.where, "what": what, "key": key, "at": int(self.now()), **more}
        with self.lock:
            self.file.write(json.dumps(entry).encode() + b"\n")
            self.file.flush()
            if is_durable:
                os.fsync(self.file.fileno())
            self._apply(entry)

    def asked(self, device):
        """A certificate will be asked for; on the disk when this returns."""
        self._write("asked", device.key, thing=device.thing)

    def answered(self, device, identifier):
        """And was made."""
        self._write("made", device.key, thing=device.thing, id=identifier)

    def refused(self, device):
        """And was not made."""
        self._write("refused", device.key, thing=device.thing)

    def found(self, device, identifier):
        """The registry has one of this key: what a question without an answer made."""
        self._write("found", device.key, thing=device.thing, id=identifier)

    def settled(self, device):
        """The registry was searched for what its questions without an answer left."""
        self._write("settled", device.key, thing=device.thing)

    def seen(self, identifier, key):
        """A certificate's key never changes: it need not be looked at again."""
        self._write("seen", key, is_durable=False, id=identifier)

    def done(self, device, identifier):
        """All of it is in place."""
        self._write("done", device.key, is_durable=False, thing=device.thing, id=identifier)

    def is_done(self, device):
        """Whether a run saw all of it in place."""
        return (device.thing, device.key, self.made.get(device.key)) in self.finished

    def is_unsettled(self, device):
        """Whether there may be a certificate of its key that nobody knows."""
        return self.asks[device.key] > 0
