# SPDX-License-Identifier: Apache-2.0
"""What the tests of platform/aws/enroll share: the program, a folder of requests, a quick clock."""
import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import iot

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "platform/aws"
sys.path.insert(0, str(FOLDER))


def load():
    """platform/aws/enroll as a module."""
    loader = importlib.machinery.SourceFileLoader("enroll", str(FOLDER / "enroll"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("enroll", loader))
    loader.exec_module(module)
    return module


enroll = load()


def hurry():
    """Repeats without waiting."""
    enroll.registry.FIRST_WAIT_S = 0.001
    enroll.registry.LONGEST_WAIT_S = 0.01


hurry()


class Fleet:
    """A folder with the requests of devices, which keeps their keys' public halves."""

    def __init__(self, folder, count):
        self.folder = folder
        self.keys = {}
        for number in range(count):
            self.add(f"gw-{number:04}")

    def add(self, thing, key=None):
        """A request of a new KEY; returns the key."""
        key = key or iot.make_key()
        (self.folder / f"{thing}.csr").write_text(iot.make_csr(key, thing))
        self.keys[thing] = iot.public_of(key.public_key())
        return key

    def faults(self, account):
        """What is not as it must be."""
        return list(account.faults(self.keys, self.folder))


class Case(unittest.TestCase):
    """A folder for one test."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        # No power cut here: what a process wrote is there when it is killed.
        patch = mock.patch("os.fsync", lambda descriptor: None)
        patch.start()
        self.addCleanup(patch.stop)

    def call(self, client, *words, jobs=1):
        """(exit code, output, errors) of `enroll WORDS`, which reaches CLIENT."""
        enroll.registry.client_of = lambda service, *_: client
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = enroll.main(["--policy", iot.POLICY, "--jobs", str(jobs), *map(str, words)])
        return code, output.getvalue(), errors.getvalue()
