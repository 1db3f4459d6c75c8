#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A route whose endpoint is gone fills the spool beside one that delivers (P2, P7).

Several times what the file holds comes in. The healthy route delivers every record of it; what is
evicted is counted for the dead one alone, and for both accepted = delivered + stored + dead +
evicted at every look. When the dead endpoint comes back it gets what is left, and gap records that
say how much of which lane it lost, and between which numbers.
"""
import json
import os
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

SPOOL_BYTES = 1024 * 1024
LINE_BYTES = 600
CHUNK = 50                            # lines; far less than the file holds
LANES = ("normal", "bulk")


class Watch:
    """Both routes' accounts, looked at again and again."""

    def __init__(self, agent, sink):
        self.agent = agent
        self.sink = sink
        self.looks = 0

    def look(self):
        status = self.agent.status()
        check(status is not None, f"the agent does not answer: {self.agent.tail()}")
        for name in ("live", "gone"):
            for lane in LANES:
                harness.check_identity({**status["routes"][name]["lanes"][lane],
                                        "of": f"{name} {lane}"})
        check(self.sum(status, "live", "evicted") == 0, f"the healthy route lost something: "
              f"{status['routes']['live']}")
        check(self.sum(status, "gone", "delivered") == 0, "delivered to nobody")
        self.looks += 1
        return status

    @staticmethod
    def sum(status, route, member):
        return sum(status["routes"][route]["lanes"][lane][member] for lane in LANES)

    def wait_delivered(self, count):
        """The sink says: what only RAM holds for the dead route is not accepted yet."""
        def seen():
            self.look()
            return self.sink.summary()["ids"]["unique"] >= count
        harness.wait_until(f"{count} deliveries", seen)


def pour(watch, pipes, source, count):
    """COUNT lines in turn into PIPES, never more than a chunk ahead of the deliveries."""
    with open(source, "rb") as lines:
        for first in range(0, count, CHUNK):
            pipe = pipes[first // CHUNK % len(pipes)]
            pipe.write(b"".join(lines.readline() for _ in range(CHUNK)))
            pipe.flush()
            watch.wait_delivered(first + CHUNK)


def come_back(run, agent, count):
    """The dead endpoint is there again: everything that is left, and what is not, told."""
    back = harness.Sink(run, name="back")
    for route in agent.config["routes"]:
        if route["name"] == "gone":
            route.update(endpoint=back.endpoint, ca_file=str(back.ca))
    agent.set_sensors([])
    check(agent.drain() == 0, f"the drain failed: {agent.tail()}")
    shown = agent.call("spool", "show", "--json", "-c", agent.config_file)
    check(shown.returncode == 0, f"spool show: {shown.stderr}")
    lanes = json.loads(shown.stdout)["routes"]["gone"]["lanes"]
    lost = {lane: lanes[lane]["evicted"] for lane in LANES}
    told = {lane: 0 for lane in LANES}
    numbers = {lane: [] for lane in LANES}
    gaps = []
    identities = set()
    for _, _, data in back.records():
        record = json.loads(data)
        check((record["spool"], record["seq"]) not in identities, f"twice: {record}")
        identities.add((record["spool"], record["seq"]))
        if "gap" not in record:
            numbers[record["sensor"].removeprefix("plc-")].append(record["seq"])
            continue
        gaps.append(record["gap"])
        told[record["gap"]["lane"]] += record["gap"]["count"]
        check(record["gap"]["reason"] == "drop-oldest", f"another reason: {record}")
    check(told == lost, f"evicted were {lost}, the gaps say {told}")
    delivered = sum(len(numbers[lane]) for lane in LANES)
    check(delivered + sum(lost.values()) == count,
          f"{delivered} delivered and {lost} lost are not {count}")
    for gap in gaps:
        check(all(not gap["first"] <= seq <= gap["last"] for seq in numbers[gap["lane"]]),
              f"delivered all the same: {gap}")
    back.stop()
    print(f"{len(gaps)} gap records told the dead route of all {sum(lost.values())}", flush=True)


def scenario(run, times):
    count = int(times * SPOOL_BYTES / LINE_BYTES / CHUNK) * CHUNK
    source = harness.lines_file(run.folder / "lines", count, LINE_BYTES)
    sink = harness.Sink(run, "--id-member", "id")
    with socket.socket() as nobody:   # bound, so that nobody else takes it, but not listening
        nobody.bind(("127.0.0.1", 0))
        gone = f"https://localhost:{nobody.getsockname()[1]}"
        fifos = [run.folder / lane for lane in LANES]
        for fifo in fifos:
            os.mkfifo(fifo)
        agent = harness.Agent(
            run, sink.endpoint, sink.ca,
            spool={"size": "1MiB", "lanes": {lane: {"age": "20ms"} for lane in LANES}},
            routes=[{"name": "live"}, {"name": "gone", "endpoint": gone}],
            sensors=[harness.lines_sensor(fifo, name=f"plc-{lane}", lane=lane)
                     for fifo, lane in zip(fifos, LANES)])
        agent.start()
        watch = Watch(agent, sink)
        pipes = [fifo.open("wb") for fifo in fifos]
        pour(watch, pipes, source, count)
        for pipe in pipes:
            pipe.close()
        status = watch.look()
        evicted = watch.sum(status, "gone", "evicted")
        check(evicted > 0, f"nothing was evicted: {status}")
        for name in ("live", "gone"):
            accepted = watch.sum(status, name, "accepted")
            pending = sum(status["lanes"][lane]["pending"] for lane in LANES)
            check(accepted + pending == count, f"{name}: {accepted} accepted of {count}, {pending} "
                  "pending")
        check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    come_back(run, agent, count)
    summary = sink.stop()
    check(summary["ids"]["unique"] == count, f"{count} delivered, but {summary['ids']}")
    print(f"{watch.looks} looks, the accounts added up at each; {count} records of {LINE_BYTES} "
          f"bytes through {SPOOL_BYTES >> 20} MiB: all delivered, {evicted} evicted for the dead "
          "route", flush=True)


if __name__ == "__main__":
    options = harness.arguments(
        __doc__, (("--times",), {"type": float, "default": 3, "help": "of what the file holds"}))
    harness.main(options, lambda run: scenario(run, options.times))
