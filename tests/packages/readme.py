#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What the pages have somebody type at a desk, typed as it stands: in a fresh Debian that has nothing
but git, from the demo to the packages for a gateway and for this machine.

It needs root, mmdebstrap with this machine's apt sources, the network, and many minutes.
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402  pylint: disable=wrong-import-position
import pages  # noqa: E402  pylint: disable=wrong-import-position
from harness import ROOT, check  # noqa: E402  pylint: disable=wrong-import-position

# Whoever types it says yes when apt asks.
YES = """echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/90yes"""


def scenario(_run):
    typed = pages.commands_of(pages.DESK)
    said = []
    with subprocess.Popen([ROOT / "tests/tools/chroot.sh", "bash", "-exc",
                           "\n".join([YES, *typed])], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as fresh:
        for line in fresh.stdout:
            print(line, end="", flush=True)
            said.append(line)
    check(fresh.returncode == 0, f"it ended with {fresh.returncode}")
    check(any(" records and 0 duplicates" in line for line in said), "the demo did not deliver")
    print(f"{len(typed)} commands")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
