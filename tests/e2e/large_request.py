#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A request's size costs no memory (P5): its body never exists as a whole.

As many bytes are stored twice, and delivered by requests of about 10 KB, then by one of almost
10 MiB. Private_Dirty is looked at again and again while they are under way; the peaks differ by no
more than 64 KiB.
"""
import json
import threading

import harness
from harness import check

TOTAL_BYTES = 10200000
MORE_KIB = 64


class Watch(threading.Thread):
    """The peak of the agent's Private_Dirty from now on."""

    def __init__(self, agent):
        super().__init__()
        self.agent = agent
        self.peak_kib = 0
        self.looks = 0
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.002):
            self.peak_kib = max(self.peak_kib, self.agent.private_dirty_kib())
            self.looks += 1

    def stop(self):
        self.done.set()
        self.join()


def store(agent, sink, source, count):
    sink.outage()
    sensors = agent.set_sensors([harness.lines_sensor(source)])
    source.touch()
    agent.start()
    harness.wait_until("all to be stored", lambda: agent.counters()["stored"] == count)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    agent.set_sensors(sensors)
    sink.outage(0)


def deliver(run, name, batch_bytes, document_bytes):
    """Peak in KiB, bytes of the largest request."""
    requests = run.folder / f"requests-{name}"
    sink = harness.Sink(run, "--id-member", "id", "--record", requests, name=f"sink-{name}")
    source = run.folder / f"documents-{name}"
    count = TOTAL_BYTES // document_bytes
    with source.open("w", encoding="ascii") as file:
        for number in range(count):
            file.write(json.dumps({"id": number, "note": "x" * document_bytes}) + "\n")
    agent = harness.Agent(
        run, sink.endpoint, sink.ca, name=name,
        spool={"size": "32MiB", "lanes": {"normal": {"age": "100ms", "window": "1s"}}},
        routes=[{"batch": {"bytes": batch_bytes}}])
    store(agent, sink, source, count)
    sink.faults(latency_ms=200 if name == "large" else 5)
    agent.start()
    watch = Watch(agent)
    watch.start()
    harness.wait_until("all to be delivered",
                       lambda: sink.summary()["ids"]["unique"] == count)
    watch.stop()
    agent.stop()
    summary = sink.stop()
    check(summary["ids"]["duplicates"] == 0, summary)
    check(watch.looks > 20, f"only {watch.looks} looks")
    return watch.peak_kib, max(path.stat().st_size for path in requests.iterdir())


def scenario(run):
    small_kib, small_bytes = deliver(run, "small", "10KiB", 7000)
    large_kib, large_bytes = deliver(run, "large", "10176KiB", 20400)
    print(f"peak of Private_Dirty: {small_kib} KiB with requests of {small_bytes} bytes, "
          f"{large_kib} KiB with one of {large_bytes} bytes", flush=True)
    check(large_bytes > 13 * 1000 * 1000, "no request was large")
    check(large_kib <= small_kib + MORE_KIB, "memory grows with the request")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
