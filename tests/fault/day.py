#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A day without a network, and a day of AccessDenied: nothing restarts, nothing is skipped (P2, P8).

leap.c lets the day pass as fast as the agent can live it. Behind `alarm_after` the agent is not
healthy and says why; the watchdog is fed all the time; each sensor has as many samples as its
interval says; who refuses is asked again, but not in a loop. When the trouble is over, all that was
measured is delivered, once.
"""
import pathlib
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # pylint: disable=wrong-import-position
import leap  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

DAY_S = 86400
BEFORE_S = 10 * 60
AFTER_S = 17 * 60
PERIOD_S = 120
INTERVALS_S = {"often": 10, "rare": 60}


class Feeds(threading.Thread):
    """Takes what the agent tells the service manager, and counts."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.count = 0
        self.ready = threading.Event()

    def run(self):
        while True:
            for line in self.socket.recv(4096).decode().splitlines():
                self.count += line == "WATCHDOG=1"
                if line == "READY=1":
                    self.ready.set()


class Day:
    """An agent whose time leaps."""

    def __init__(self, run, sink, endpoint):
        self.leap = leap.Leap(run)
        self.agent = harness.Agent(
            run, endpoint, sink.ca,
            sensors=[{"name": name, "driver": "sim", "interval": f"{interval}s"}
                     for name, interval in INTERVALS_S.items()])
        self.feeds = Feeds(run.folder / "manager")
        self.feeds.start()
        environment = {**self.agent.environment, "NOTIFY_SOCKET": self.feeds.path,
                       "WATCHDOG_USEC": str(PERIOD_S * 1000000), **self.leap.environment()}
        self.agent.process = harness.Process(
            self.agent.command("run", "-c", self.agent.config_file), self.agent.log,
            env=environment, stdout=subprocess.DEVNULL)
        check(self.feeds.ready.wait(harness.DEADLINE_S), f"not ready: {self.agent.tail()}")

    def status(self):
        check(self.agent.process.running(), f"the agent ended: {self.agent.tail()}")
        status = self.agent.status()
        check(status is not None, f"status --json gave nothing: {self.agent.tail()}")
        return status

    def pass_to(self, seconds):
        """The status when so much of the day is over."""
        self.leap.until(seconds - self.status()["uptime_s"])

        def is_over():
            status = self.status()
            return status if status["uptime_s"] >= seconds - 1 else None
        return harness.wait_until(f"{seconds} s of the day", is_over, timeout_s=240)

    def check_samples(self, status):
        for name, interval in INTERVALS_S.items():
            wanted, samples = status["uptime_s"] / interval, status["sensors"][name]["samples"]
            check(abs(samples - wanted) <= 1.5, f"{name}: {samples} samples of {wanted:.1f}")

    def check_watchdog(self, status):
        """Twice a period; a feed may be under way."""
        wanted = status["uptime_s"] / (PERIOD_S / 2)
        check(self.feeds.count >= wanted - 2, f"{self.feeds.count} feeds of {wanted:.0f}")
        check("thread-late" not in self.agent.log.read_text(), self.agent.tail())


def live(day, states, reason):
    status = day.pass_to(BEFORE_S)
    check(status["healthy"], f"ill after {status['uptime_s']} s: {status['problem']}")
    status = day.pass_to(AFTER_S)
    check(not status["healthy"], f"healthy after {status['uptime_s']} s in vain")
    check("route live" in status["problem"] and reason in status["problem"], status["problem"])
    status = day.pass_to(DAY_S)
    check(not status["healthy"], "healthy after a day in vain")
    check(status["routes"]["live"]["state"] in states, status["routes"])
    check(status["sensors"]["often"]["errors"] == 0, status["sensors"])
    day.check_samples(status)
    day.check_watchdog(status)
    return status


def deliver_all(day, sink):
    """An hour later nothing older than a minute waits, and the next one has no trouble left."""
    status = day.pass_to(DAY_S + 3600)
    check(status["healthy"], status["problem"])
    day.check_samples(status)
    day.check_watchdog(status)
    counters = status["routes"]["live"]["lanes"]["normal"]
    harness.check_identity(counters)
    check(counters["evicted"] == counters["dead"] == 0, counters)
    check(day.agent.stop() == 0, f"the agent ended badly: {day.agent.tail()}")
    check(day.agent.drain() == 0, f"the rest was not delivered: {day.agent.tail()}")
    samples = sum(status["sensors"][name]["samples"] for name in INTERVALS_S)
    found = sink.stop()["identities"]
    check(found["unique"] >= samples and found["duplicates"] == 0, f"{samples} samples: {found}")
    return found["unique"]


def no_network(run):
    """Nobody listens where the endpoint should be; then somebody does."""
    sink = harness.Sink(run)
    sink.outage()
    day = Day(run, sink, sink.endpoint)
    live(day, ("offline",), "Connection refused")
    sink.outage(0)
    return deliver_all(day, sink)


def access_denied(run):
    sink = harness.Sink(run)
    sink.faults(refuse_rate=1, refuse_code="AccessDeniedException")
    day = Day(run, sink, sink.endpoint)
    live(day, ("needs-operator", "backing-off"), "answered 400")
    asked = sink.summary()["requests"]
    check(24 <= asked <= 24 * 120, f"{asked} requests in a day: it gave up, or hammers")
    sink.faults(refuse_rate=0)
    return deliver_all(day, sink)


DAYS = {"no-network": no_network, "access-denied": access_denied}


def scenario(run, name):
    print(f"{name}: a day and an hour, {DAYS[name](run)} records", flush=True)


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("day",), {"type": harness.one_of(DAYS)}))
    harness.main(options, lambda run: scenario(run, options.day))
