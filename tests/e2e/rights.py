#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Who is in the group of the socket may look and send; what changes something is for root and the
agent's own user, and the spool of a stopped agent is theirs alone. Needs root, to be others.
"""
import os
import shutil
import subprocess

import harness
from harness import Skip, check

SOMEBODY, STRANGER = 65533, 65534
LOOKING = (("status",), ("status", "--json"), ("spool", "show"), ("spool", "check"),
           ("dead", "list"), ("log",))
CHANGING = (("dead", "purge", "--all"), ("dead", "resend", "--all"), ("dead", "purge", "live/1"))
REFUSED = "only root and the agent's own user may change dead letters"


def call(agent, user, groups, *command, stdin=None):
    """A command of USER with GROUPS beside its own."""
    prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={groups}"]
    return subprocess.run(prefix + agent.command(*command, *of_config(agent, command)),
                          env=agent.environment, input=stdin, capture_output=True, text=True,
                          timeout=harness.DEADLINE_S, check=False)


def of_config(agent, command):
    return ("-c", agent.config_file) if command[0] in ("spool", "dead", "log") else ()


def check_member(agent):
    for command in LOOKING:
        result = call(agent, SOMEBODY, os.getegid(), *command)
        check(result.returncode == 0, f"{command}: {result.stderr}")
    result = call(agent, SOMEBODY, os.getegid(), "send", "plc", stdin='{"id":1}\n')
    check(result.returncode == 0, f"send: {result.stderr}")
    for command in CHANGING:
        result = call(agent, SOMEBODY, os.getegid(), *command)
        check(result.returncode == 1 and REFUSED in result.stderr,
              f"{command}: {result.returncode} {result.stderr}")


def check_stranger(agent):
    for command in (*LOOKING, *CHANGING):
        result = call(agent, STRANGER, STRANGER, *command)
        check(result.returncode == 1 and "be root or in the group" in result.stderr,
              f"{command}: {result.returncode} {result.stderr}")


def check_stopped(agent):
    for command in LOOKING[2:] + CHANGING:
        result = call(agent, SOMEBODY, os.getegid(), *command)
        check(result.returncode == 1 and "be root or the user that runs runnel" in result.stderr,
              f"{command}: {result.returncode} {result.stderr}")
    for command in (("dead", "purge", "--all"), ("log",)):
        result = agent.call(*command, "-c", agent.config_file)
        check(result.returncode == 0, f"root's {command}: {result.stderr}")


def scenario(run):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Skip("needs root and setpriv, to be somebody else")
    run.folder.chmod(0o755)
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca)
    agent.start()
    check_member(agent)
    check_stranger(agent)
    result = agent.call("dead", "purge", "--all")
    check(result.returncode == 0, f"root's purge: {result.stderr}")
    check(agent.stop() == 0, agent.tail())
    check_stopped(agent)
    agent.stop()


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
