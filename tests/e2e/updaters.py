#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What an updater hears: a program that has not shown yet that it delivers is not kept, however
healthy it is; one that has nothing to deliver is; and the hooks in platform/update act on it.

usage: updaters.py [--build DIR]
"""
import os
import subprocess

import harness
from harness import ROOT, Process, check, wait_until

HOOKS = ROOT / "platform/update"
SENSOR = {"name": "wave", "driver": "sim", "interval": "100ms"}
QUICK = {"spool": {"lanes": {"normal": {"window": "11s", "age": "1s"}}}, "health": "0s"}


def healthy(agent, *options):
    result = agent.call("status", "--healthy", *options)
    return result.returncode, (result.stdout + result.stderr).strip()


def hears(agent, code, words, *options):
    got, said = healthy(agent, *options)
    check(got == code and words in said, f"{options}: {got} instead of {code}: {said}")


def wait_for_records(agent):
    wait_until("something to deliver", lambda: sum(
        agent.counters()[key] for key in ("pending", "stored")) > 0)


def begin_waiting(agent, log):
    return Process(agent.command("status", "--healthy", "--wait", "60s"), log,
                   env=agent.environment, stdout=subprocess.DEVNULL)


def test_proof(run, sink):
    """Healthy is not enough."""
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="proof", sensors=[SENSOR], **QUICK)
    hears(agent, 1, "no agent", "--wait", "1s")
    early = begin_waiting(agent, run.folder / "early")
    sink.outage()
    agent.start()
    wait_for_records(agent)
    # The control: without --wait only health counts, and nothing is wrong yet.
    hears(agent, 0, "healthy")
    hears(agent, 1, "route live has delivered nothing since the agent started", "--wait", "1s")
    check(early.running(), "it did not wait for a delivery")
    agent.kill()
    check(early.running(), "it did not wait for the agent to come back")
    sink.outage(0)
    agent.start()
    check(early.wait() == 0, f"it does not see the delivery: {early.tail()}")
    hears(agent, 0, "healthy", "--wait", "1s")
    agent.stop()


def test_nothing(run, sink):
    """What has nothing to deliver is kept, after the time; what holds nothing does not count."""
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="nothing", sensors=[SENSOR], routes=[
        {}, {"name": "alarms", "lanes": ["alarm"]},
        {"name": "stick", "destination": "archive", "path": str(run.folder / "none")}], **QUICK)
    agent.start()
    wait_until("a delivery", lambda: agent.counters()["delivered"] > 0)
    hears(agent, 0, "healthy", "--wait", "1s")
    agent.stop()


def test_hooks(run, sink):
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="hooks", sensors=[SENSOR], **QUICK)
    tools = run.folder / "tools"
    tools.mkdir()
    heard = run.folder / "heard"
    for name, body in (("fw_printenv", "echo ${ON_TRIAL:-0}"), ("reboot", f"echo reboot >>{heard}"),
                       ("fw_setenv", f'{{ echo "$@"; [ "$1" != -s ] || cat; }} >>{heard}')):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    environment = {**agent.environment, "PATH": f"{tools}:{os.environ['PATH']}"}

    def call(name, wait, **variables):
        """A hook with less time: its exit code, and what its tools heard."""
        heard.write_text("")
        text = (HOOKS / name).read_text().replace("/usr/bin/runnel",
                                                  str(run.program("runnel")))
        check("--wait 10m" in text, f"{name} has no time")
        script = run.folder / name
        script.write_text(text.replace("--wait 10m", f"--wait {wait}"))
        result = subprocess.run(["sh", script], env={**environment, **variables}, check=False,
                                capture_output=True)
        return result.returncode, heard.read_text().split("\n")[:-1]

    kept = ["-s -", "upgrade_available 0", "bootcount 0", "ustate 2"]
    left = ["ustate 3", "reboot"]
    sink.outage()
    agent.start()
    wait_for_records(agent)
    check(call("mender-commit", "1s")[0] == 1, "Mender keeps what delivers nothing")
    check(call("swupdate-confirm", "1s") == (0, []), "SWUpdate judges what was kept long ago")
    check(call("swupdate-confirm", "1s", ON_TRIAL="1") == (1, left), "SWUpdate keeps it")
    sink.outage(0)
    check(call("mender-commit", "60s")[0] == 0, "Mender leaves what delivers")
    check(call("swupdate-confirm", "60s", ON_TRIAL="1") == (0, kept), "SWUpdate leaves it")
    agent.stop()


def scenario(run):
    sink = harness.Sink(run)
    test_proof(run, sink)
    test_nothing(run, sink)
    test_hooks(run, sink)
    sink.stop()
    print("a program is kept once it has delivered; Mender's and SWUpdate's hooks act on it")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
