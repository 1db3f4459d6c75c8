#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What it costs to answer CoAP peers once their reading is on flash: messages per second and flash
bytes per message with 1, 10 and 100 peers, each of which waits for its answer before it sends the
next. One commit serves all that wait for it; with a "wait" above 0 it also waits for them.

The endpoint is away, so that nothing is answered because it was delivered. Flash bytes are what
the block layer wrote to a loop device with ext4 (bench.py); without root they are left out.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import bench  # pylint: disable=wrong-import-position
import coap as peers  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

MESSAGES = {"0s": {1: 5000, 10: 20000, 100: 100000}, "10ms": {1: 300, 10: 3000, 100: 30000}}
UNLIMITED = {"rate": "100000/s", "byte_rate": "64MiB/s", "total_rate": "100000/s",
             "total_byte_rate": "64MiB/s"}


def measure(run, flash, sink, wait, count, share):
    """(messages/s, commits per message, flash bytes per message or None)."""
    port = peers.free_port()
    agent = harness.Agent(
        run, sink.endpoint, sink.ca, name=f"{wait}-{count}", spool={"size": "64MiB"},
        coap={"listen": [f"coap://127.0.0.1:{port}"], "wait": wait, **UNLIMITED})
    state = flash.mount / f"{wait}-{count}"
    state.mkdir()
    agent.environment["RUNNEL_STATE"] = str(state)
    agent.start()
    wanted = max(count, int(MESSAGES[wait][count] * share))
    command = [run.program("tests/bench/coap_peers"), str(port), str(count)]
    subprocess.run([*command, str(count)], check=True, capture_output=True)   # the first of each
    commits, before = agent.status()["flash"]["commits"], flash.written_bytes()
    said = subprocess.run([*command, str(wanted)], check=False, capture_output=True,
                          text=True).stdout.strip()
    after, commits = flash.written_bytes(), agent.status()["flash"]["commits"] - commits
    found = re.fullmatch(r"answered (\d+) in (\d+) us", said)
    check(found, f"{count} peers: {said}")
    answered, took_us = map(int, found.groups())
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    flash_bytes = None if before is None else (after - before) / answered
    return answered * 1000000 / took_us, commits / answered, flash_bytes


def scenario(run, options):
    memory = pathlib.Path("/dev/shm")     # the device's own writes shall not wait for a disk
    sink = harness.Sink(run)
    sink.outage()
    print(f"{'wait':>5} {'peers':>5} {'messages/s':>11} {'messages/commit':>16} "
          f"{'flash bytes/message':>20}")
    with tempfile.TemporaryDirectory(prefix="runnel-flash-",
                                     dir=memory if os.access(memory, os.W_OK) else None) as place, \
            bench.Flash(pathlib.Path(place)) as flash:
        for wait, count in ((wait, count) for wait, counts in MESSAGES.items() for count in counts):
            per_s, commits, flash_bytes = measure(run, flash, sink, wait, count, options.share)
            written = "-" if flash_bytes is None else f"{flash_bytes:.0f}"
            print(f"{wait:>5} {count:>5} {per_s:>11.0f} {1 / commits:>16.1f} {written:>20}",
                  flush=True)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--share",), {"type": float, "default": 1, "help": "of the messages (1)"}))
    harness.main(chosen, lambda run: scenario(run, chosen))
