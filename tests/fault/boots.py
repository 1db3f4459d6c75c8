#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Three boots of a gateway whose clock begins in 1970 each time; the second never sees the network
(P6).

Documents are taken in all of them. In the third the link comes, and with it a Date: what the sink
has then is in order, the third boot's times are right and say that they were corrected, the
others' are estimated and lie before it, one boot behind the other. Then somebody sets the clock a
day ahead and a day back, the gateway sleeps for an hour, and the agent starts again without a link:
all of these times are right.
"""
import datetime
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import clock_shim  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

HOUR_S = 3600
DATE_S = 2.5  # a Date has whole seconds, and jitters


class Documents:
    """What was sent, and between which instants of true time."""

    def __init__(self, agent):
        self.agent = agent
        self.taken = {}
        self.asleep_s = 0

    def now(self):
        """True time: that of this machine, and what the scenario lets pass besides."""
        return time.time() + self.asleep_s

    def send(self, count, **options):
        first = len(self.taken)
        lines = [json.dumps({"id": number}) for number in range(first, first + count)]
        before = self.now()
        check(self.agent.send("plc", lines, **options) == 0, f"a refusal: {self.agent.tail()}")
        for number in range(first, first + count):
            self.taken[number] = (before, self.now())
        return range(first, first + count)


def received(sink, sensor="plc"):
    """By id: (seconds, quality) of what the sink has; a repeated record must be as it was."""
    found = {}
    for _, _, data in sink.records():
        record = json.loads(data)
        if record.get("sensor") != sensor:
            continue
        wall = datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00")).timestamp()
        found[record["data"]["id"]] = (wall, record.get("time_quality", "synced"))
    return found


def await_all(sink, documents):
    harness.wait_until("all documents", lambda: len(received(sink)) == len(documents.taken))
    return received(sink)


def check_true(found, documents, ids, quality):
    for number in ids:
        wall, said = found[number]
        before, after = documents.taken[number]
        check(said == quality, f"document {number} is {said}, not {quality}")
        check(before - DATE_S <= wall <= after + DATE_S,
              f"document {number} of {before:.3f} to {after:.3f} says {wall:.3f}")


def check_estimated(found, boots):
    """One boot behind the other, and in each an hour between the two halves."""
    for boot in boots:
        for number in boot:
            check(found[number][1] == "estimated", f"document {number}: {found[number]}")
        asleep = found[boot[5]][0] - found[boot[4]][0]
        check(HOUR_S <= asleep < HOUR_S + harness.DEADLINE_S, f"an hour became {asleep} s")


def boot_without_link(agent, clocks, documents):
    clocks.reboot(wall_s=20)
    agent.start()
    ids = [*documents.send(5)]
    clocks.suspend(HOUR_S * 1000)
    ids += documents.send(5)
    status = agent.status()
    check(status["clock"]["quality"] == "estimated", f"nobody knows the time: {status['clock']}")
    return ids


def scenario(run):
    sink = harness.Sink(run)
    clocks = clock_shim.Clocks(run)
    clocks.set(sync=clock_shim.UNSYNCED)
    agent = harness.Agent(run, sink.endpoint, sink.ca,
                          spool={"lanes": {"normal": {"age": "100ms"}}})
    clocks.preload(agent.environment)
    documents = Documents(agent)

    sink.outage()
    first = boot_without_link(agent, clocks, documents)
    agent.kill()
    second = boot_without_link(agent, clocks, documents)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    clocks.reboot(wall_s=20)
    began = documents.now() - 30
    agent.start()
    third = documents.send(10)
    sink.outage(0)
    found = await_all(sink, documents)
    check_true(found, documents, third, "corrected")
    check_estimated(found, (first, second))
    check(found[second[-1]][0] <= began + DATE_S, "the second boot ends behind the third's start")
    order = [found[number][0] for number in sorted(found)]
    check(order == sorted(order), f"the order does not hold: {order}")

    steps = [*documents.send(3)]
    clocks.step(clock_shim.DAY_MS)
    steps += documents.send(3)
    clocks.step(-2 * clock_shim.DAY_MS)
    steps += documents.send(3)
    sink.faults(clock_offset_ms=HOUR_S * 1000)
    clocks.suspend(HOUR_S * 1000)
    documents.asleep_s += HOUR_S
    steps += documents.send(3)
    check_true(await_all(sink, documents), documents, steps, "synced")

    sink.outage()
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    agent.start()
    again = documents.send(3)
    sink.outage(0)
    check_true(await_all(sink, documents), documents, again, "synced")
    clock = agent.status()["clock"]
    check(clock["quality"] == "synced", f"the time is known: {clock}")
    agent.stop()
    print(f"{len(found)} documents of three boots in order, {len(steps) + len(again)} with the "
          "right time through steps, sleep and a restart", flush=True)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
