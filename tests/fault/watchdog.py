#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A thread that never comes back makes the service manager restart the agent; nothing else does (P8).

This is the service manager: it restarts the agent when it was not fed for a whole period. freeze.c
stops one thread after the other in its next wait, of each kind. Fed twice a period and found late
within one, the agent is restarted within two: so it may feed three times at most after the thread
stopped, the one that was under way among them. As a control, nothing is stopped for eight feeds.

Without a service manager the kernel ends it: the same with WATCHDOG_USEC alone, and with the same
control.
"""
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

PERIOD_S = 4
FEEDS_AFTER = 3
FEEDS_OF_CONTROL = 8
LANES = {"normal": {"age": "100ms"}}
# What the log calls a thread, if there is anybody left to say it.
THREADS = {"route-live": "thread=route name=live", "in-sim": "thread=sensors name=sim",
           "commit": "thread=spool name=commit", "control": "thread=control name=control",
           "runnel": None}
# One that main notices, and main itself.
ALONE = ("commit", "runnel")


class Manager:
    """What systemd does for a unit with Type=notify, WatchdogSec and Restart=on-failure."""

    def __init__(self, run, agent, preload):
        self.agent = agent
        self.freeze = run.folder / "freeze"
        self.done = run.folder / "freeze.done"
        self.path = str(run.folder / "manager")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.environment = {**agent.environment, "NOTIFY_SOCKET": self.path,
                            "WATCHDOG_USEC": str(PERIOD_S * 1000000), "LD_PRELOAD": str(preload),
                            "RUNNEL_FREEZE": str(self.freeze)}
        self.ready = False
        self.feeds = self.restarts = 0
        self.fed_s = 0.0

    def start(self):
        self.ready, self.feeds = False, 0
        self.agent.process = harness.Process(
            self.agent.command("run", "-c", self.agent.config_file), self.agent.log,
            env=self.environment, stdout=subprocess.DEVNULL)
        self.serve_until("the agent to be ready", lambda: self.ready)

    def take(self):
        """What the agent says, if it says something soon."""
        if not select.select([self.socket], [], [], 0.05)[0]:
            return
        for line in self.socket.recv(4096).decode().splitlines():
            self.ready = self.ready or line == "READY=1"
            self.feeds += line == "WATCHDOG=1"
            self.fed_s = time.monotonic()

    def serve_until(self, what, condition):
        end = time.monotonic() + harness.DEADLINE_S
        while not condition():
            check(time.monotonic() < end, f"waited in vain for {what}")
            self.take()
            check(self.agent.process.running(), f"the agent ended: {self.agent.tail()}")
            if self.ready and time.monotonic() - self.fed_s > PERIOD_S:
                self.restart()

    def restart(self):
        self.restarts += 1
        self.freeze.unlink(missing_ok=True)
        self.agent.process.send_signal(signal.SIGABRT)
        self.agent.process.wait()
        self.start()


def names(process):
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return {(task / "comm").read_text().strip() for task in tasks}


def freeze(manager, thread):
    agent = manager.agent
    manager.serve_until("deliveries", lambda: agent.counters()["delivered"] > 0)
    check(thread in names(agent.process), f"no {thread} in {names(agent.process)}")
    logged, restarts = len(agent.log.read_text()), manager.restarts
    manager.done.unlink(missing_ok=True)
    manager.freeze.write_text(thread)
    manager.serve_until(f"{thread} to stop", manager.done.exists)
    before, feeds = manager.feeds, []

    def is_restarted():
        if manager.restarts == restarts:
            feeds.append(manager.feeds)
        return manager.restarts > restarts

    manager.serve_until(f"a restart because of {thread}", is_restarted)
    after = feeds[-1] - before
    check(after <= FEEDS_AFTER, f"{after} feeds after {thread} had stopped")
    check(manager.restarts == restarts + 1, f"{manager.restarts - restarts} restarts for {thread}")
    said = THREADS[thread]
    log = agent.log.read_text()[logged:]
    check(said is None or log.count(f"thread-late {said}") == 1, f"{said} is not in\n{log}")
    check(log.count("thread-late") == (said is not None), f"others are late in\n{log}")


def end_alone(manager, thread):
    """Without NOTIFY_SOCKET."""
    agent = manager.agent
    environment = {**manager.environment}
    del environment["NOTIFY_SOCKET"]
    manager.freeze.unlink(missing_ok=True)
    manager.done.unlink(missing_ok=True)
    agent.process = harness.Process(
        agent.command("run", "-c", agent.config_file), agent.log, env=environment,
        stdout=subprocess.DEVNULL)
    harness.wait_until("three periods without an end",
                       lambda: (agent.status() or {}).get("uptime_s", 0) > 3 * PERIOD_S)
    manager.freeze.write_text(thread)
    harness.wait_until(f"an end because of {thread}", lambda: not agent.process.running())
    code = agent.process.wait()
    check(code == -signal.SIGALRM, f"{thread} ended the agent with {code}: {agent.tail()}")

def scenario(run):
    preload = run.build / "tests/fault/libfault_freeze.so"
    if not preload.is_file():
        raise harness.Skip(f"{preload} is not there: a sanitizer or another machine")
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca, spool={"lanes": LANES},
                          sensors=[{"name": "wave", "driver": "sim", "interval": "50ms"}])
    manager = Manager(run, agent, preload)
    manager.start()
    manager.serve_until("feeds", lambda: manager.feeds >= FEEDS_OF_CONTROL)
    check(manager.restarts == 0, f"{manager.restarts} restarts although nothing was stopped")
    check("thread-late" not in agent.log.read_text(), agent.tail())
    for thread in THREADS:
        freeze(manager, thread)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    for thread in ALONE:
        end_alone(manager, thread)
    sink.stop()
    print(f"{FEEDS_OF_CONTROL} feeds without a restart; {manager.restarts} restarts for "
          f"{len(THREADS)} threads; {len(ALONE)} ends without a service manager", flush=True)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
