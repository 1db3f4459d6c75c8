#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
How deep the stacks of threads are used: no more than the least that CONFIG_STACK_BYTES may be.

paint.c paints them. The agent delivers over TLS to a stream and into a directory, loses its link,
is asked for its state, and once finds its spool damaged, which it sets aside and salvages.
"""
import subprocess

import harness
from harness import check, wait_until

PAGE_BYTES = 4096
LEAST_BYTES = 65536


def config(run):
    return {"sensors": [{"name": "wave", "driver": "sim", "interval": "10ms"},
                        {"name": "machine", "driver": "proc", "interval": "100ms"}],
            "spool": {"lanes": {"normal": {"window": "100ms", "age": "10ms"}}},
            "routes": [{"name": "live"},
                       {"name": "stick", "destination": "archive",
                        "path": str(run.folder / "stick")}]}


def live(run, agent, sink, preload, file):
    """A life of it, until something was delivered behind an outage."""
    environment = {**agent.environment, "LD_PRELOAD": str(preload), "RUNNEL_PAINT": str(file)}
    agent.process = harness.Process(agent.command("run", "-c", agent.config_file), agent.log,
                                    env=environment, stdout=subprocess.DEVNULL)

    def delivered():
        status = agent.status()
        return status["routes"]["live"]["lanes"]["normal"]["delivered"] if status else 0
    before = wait_until("a delivery", delivered)
    sink.outage()
    wait_until("an outage", lambda: agent.status()["routes"]["live"]["state"] == "offline")
    sink.outage(0)
    wait_until("another delivery", lambda: delivered() > before)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def spoil(agent):
    """All pages but the first ones and the last."""
    with open(agent.state / "spool.mdb", "r+b") as file:
        file.seek(3 * PAGE_BYTES)
        file.write(b"\xee" * 40 * PAGE_BYTES)


def show(file):
    deepest = {}
    for line in file.read_text().splitlines():
        size, used, name = line.split(" ", 2)
        deepest[name] = max(deepest.get(name, (0, 0)), (int(used), int(size)))
    check(len(deepest) >= 4, f"threads are missing: {deepest}")
    for name, (used, size) in sorted(deepest.items(), key=lambda item: -item[1][0]):
        print(f"{name:<16} {used:7} of {size} bytes", flush=True)
    name, (used, _) = max(deepest.items(), key=lambda item: item[1][0])
    check(used <= LEAST_BYTES, f"{name} uses {used} bytes")


def scenario(run):
    preload = run.build / "tests/e2e/libe2e_paint.so"
    if not preload.is_file():
        raise harness.Skip(f"{preload} is not there")
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca, **config(run))
    file = run.folder / "painted"
    (run.folder / "stick").mkdir()
    live(run, agent, sink, preload, file)
    spoil(agent)
    live(run, agent, sink, preload, file)
    check("spool-set-aside" in agent.log.read_text(), "the damage was not found")
    show(file)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
