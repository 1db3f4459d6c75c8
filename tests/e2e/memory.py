#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Memory is bounded by configuration, not by what lies in the spool (P5).

Private_Dirty of the agent is sampled while it delivers to a sink that throttles 20 % of requests:
once with little stored, once with many records stored. Both use the same configuration,
and lines come in through a FIFO all the while. The medians are within 10 %, and nothing exceeds
3 MB. Nor does it take more for good once the configuration was read again.
"""
import os
import statistics
import threading
import time

import harness
from harness import check

LIMIT_KIB = 3 * 1024
RATIO = 1.10
RELOADED_KIB = 384


class Feeder(threading.Thread):
    """A writer to a FIFO, at some thousand lines a second."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.done = threading.Event()

    def run(self):
        with open(self.path, "w", encoding="ascii") as fifo:
            number = 0
            while not self.done.wait(0.02):
                fifo.writelines(f'{{"id":{number + i},"note":"{"x" * 120}"}}\n' for i in range(50))
                fifo.flush()
                number += 50

    def stop(self):
        self.done.set()
        self.join()


def sample(agent, count, going_on=lambda: True):
    """Private_Dirty in KiB, COUNT times, as long as GOING_ON says so."""
    found = []
    while len(found) < count and going_on():
        found.append(agent.private_dirty_kib())
        time.sleep(0.05)
    return found


def started(agent, fifo):
    agent.start()
    feeder = Feeder(fifo)
    feeder.start()
    return feeder


def measure_little(agent, sink, fifo, samples):
    # What a full commit and a route touch once is touched before the first sample, not whenever
    # the throttling happens to fill the head.
    sink.outage()
    feeder = started(agent, fifo)
    try:
        harness.wait_until("a commit", lambda: agent.counters()["stored"] > 0)
        sink.outage(0)
        harness.wait_until("deliveries", lambda: sink.summary()["served"] >= 5)
        return sample(agent, samples)
    finally:
        feeder.stop()
        agent.stop()


def store(agent, sink, source, count):
    """Fills the spool while the sink is away."""
    sensors = agent.set_sensors([harness.lines_sensor(source)])
    sink.outage()
    agent.start()

    def all_stored():
        counters = agent.counters()
        check(counters["evicted"] == 0, f"the spool is too small for this: {counters}")
        return counters["stored"] >= count

    harness.wait_until(f"{count} stored records", all_stored, 600)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    agent.set_sensors(sensors)
    sink.outage(0)


def measure_many(agent, sink, fifo, count, samples):
    served = sink.summary()["served"]
    feeder = started(agent, fifo)
    try:
        harness.wait_until("deliveries", lambda: sink.summary()["served"] >= served + 5)
        found = sample(agent, samples, lambda: agent.counters()["stored"] > 2000)
        left = agent.counters()["stored"]
        check(len(found) >= 10, f"{count} records were gone after {len(found)} samples")
        return found, left
    finally:
        feeder.stop()
        agent.stop()


def measure_reloaded(agent):
    """(before, behind) a few reloads, each of which has two configurations for a moment."""
    agent.start()
    harness.wait_until("a status", agent.status)
    before = agent.private_dirty_kib()
    for _ in range(3):
        result = agent.call("config", "reload")
        check(result.returncode == 0, f"not reloaded: {result.stderr}")
        harness.wait_until("a status", agent.status)
    behind = agent.private_dirty_kib()
    agent.stop()
    return before, behind


def scenario(run, count, samples):
    sink = harness.Sink(run, "--throttle-rate", "0.2")
    fifo = run.folder / "fifo"
    os.mkfifo(fifo)
    agent = harness.Agent(run, sink.endpoint, sink.ca, sensors=[harness.lines_sensor(fifo)],
                          spool={"size": "64MiB", "lanes": {"normal": {"age": "200ms"}}})
    little = measure_little(agent, sink, fifo, samples)

    source = run.folder / "numbers"
    with source.open("w", encoding="ascii") as file:
        file.writelines(f"{20 + number % 100 / 10:.1f}\n" for number in range(count))
    store(agent, sink, source, count)
    many, left = measure_many(agent, sink, fifo, count, samples)

    ratio = statistics.median(many) / statistics.median(little)
    print(f"Private_Dirty with little stored: median {statistics.median(little)} KiB, peak "
          f"{max(little)} KiB; with {count} stored (draining to {left}): median "
          f"{statistics.median(many)} KiB, peak {max(many)} KiB; ratio {ratio:.3f}", flush=True)
    check(ratio <= RATIO, f"memory grows with the backlog: {ratio:.3f}")
    check(max(little + many) < LIMIT_KIB, f"more than {LIMIT_KIB} KiB")

    agent.set_sensors([])
    before, behind = measure_reloaded(agent)
    print(f"{before} KiB, {behind} KiB behind reloads", flush=True)
    check(behind <= before + RELOADED_KIB, "a reload keeps what it needed for a moment")


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--records",), {"type": int, "default": 100000}),
                                (("--samples",), {"type": int, "default": 100}))
    harness.main(options, lambda run: scenario(run, options.records, options.samples))
