#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
kill -9 at random moments while documents flow in and out; what was reported is delivered (P1, P2).

`runnel send` hands documents to the agent from several sides and into all lanes; its exit code 0 is
the report, be it that they are on flash or delivered. In every second round the sink is away,
until at least 1,000 accepted documents lie undelivered; then the agent is killed while more come
in. After the last round everything is drained, and the sink must have every document that was
reported, each under one identity of its own.

As a control the accounts are falsified: documents whose sending failed are taken for reported. The
comparison must see it.
"""
import json
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

BACKLOG = 1000
CHUNK = 100
# Between two sends of one feeder: enough to fill a spool, little enough to count it all again.
PAUSE_S = 0.05
# coap.wait is 1 s; a sender that hears nothing a second later is not told anything.
REPORT_TIMEOUT = "2s"
# Normal and alarm are reported when delivered or at once on flash; bulk waits for a commit.
FEEDERS = ("normal", "normal", "alarm", "bulk")
LANES = ("normal", "alarm", "bulk")
AGES = {"normal": {"age": "50ms"}, "bulk": {"age": "5m"}}


class Documents:
    """What was sent, and what of it was reported."""

    def __init__(self):
        self.lock = threading.Lock()
        self.next = 0
        self.reported = set()
        self.failed = set()
        self.slowest_s = 0.0

    def take(self, count):
        with self.lock:
            numbers = range(self.next, self.next + count)
            self.next += count
        return numbers

    def send(self, agent, count, lane="normal", timeout=REPORT_TIMEOUT):
        numbers = self.take(count)
        lines = [json.dumps({"id": number, "state": "run", "rpm": 1480}) for number in numbers]
        started = time.monotonic()
        code = agent.send("cli", lines, "--lane", lane, timeout=timeout)
        with self.lock:
            (self.reported if code == 0 else self.failed).update(numbers)
            if code == 0:
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        return code


def feed(agent, documents, lane, stop):
    while not stop.wait(PAUSE_S):
        documents.send(agent, CHUNK, lane)


def undelivered(agent):
    """Accepted documents that lie in the spool, of all lanes."""
    total = 0
    for lane in LANES:
        counters = agent.counters(lane=lane)
        harness.check_identity(counters)
        total += counters["stored"]
    return total


def wait_for_backlog(agent, documents):
    reported = len(documents.reported)
    harness.wait_until(
        f"{BACKLOG} documents that lie undelivered",
        lambda: len(documents.reported) - reported >= BACKLOG and undelivered(agent) >= BACKLOG)


def play(agent, sink, documents, away, generator):
    """One round: start, feed, kill."""
    sink.outage(None if away else 0)
    agent.start()
    stop = threading.Event()
    feeders = [threading.Thread(target=feed, args=(agent, documents, lane, stop))
               for lane in FEEDERS]
    for feeder in feeders:
        feeder.start()
    try:
        if away:
            wait_for_backlog(agent, documents)
        # The moment of the kill is the point of the exercise, and it is random.
        time.sleep(generator.uniform(0, 0.4 if away else 1.2))
    finally:
        agent.kill()
        stop.set()
        for feeder in feeders:
            feeder.join()
    check(documents.send(agent, 1, timeout="50ms") != 0, "a document was taken by nobody")


def delivered(sink):
    """The documents that the sink has; each must have one identity, each identity one document."""
    identity_of, id_of = {}, {}
    for _, _, data in sink.records():
        record = json.loads(data)
        if "data" not in record:
            continue
        number = record["data"]["id"]
        identity = (record["device"], record["spool"], record["seq"])
        check(identity_of.setdefault(number, identity) == identity,
              f"document {number} has the identities {identity_of[number]} and {identity}")
        check(id_of.setdefault(identity, number) == number,
              f"{identity} is document {id_of[identity]} and document {number}")
    return set(identity_of)


def rounds(run, count, seed):
    generator = random.Random(seed)
    documents = Documents()
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca, spool={"size": "128MiB", "lanes": AGES})
    for number in range(count):
        play(agent, sink, documents, number % 2 == 1, generator)
    sink.outage(0)
    check(agent.drain() == 0, f"the agent did not deliver the rest: {agent.tail()}")

    agent.start()
    for lane in LANES:
        counters = agent.counters(lane=lane)
        harness.check_identity(counters)
        check(counters["stored"] == counters["dead"] == counters["evicted"] == 0, counters)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")

    summary = sink.stop()
    arrived = delivered(sink)
    missing = documents.reported - arrived
    check(not missing, f"{len(missing)} of {len(documents.reported)} reported documents were lost, "
          f"such as {sorted(missing)[:5]}")
    check(len(documents.reported) >= BACKLOG * (count // 2), "too little was reported to tell")
    falsified = (documents.reported | documents.failed) - arrived
    check(falsified, "falsified accounts were not noticed: the comparison is worth nothing")
    print(f"{count} kills (seed {seed}): {len(documents.reported)} documents reported, all "
          f"delivered; {len(documents.failed)} not reported, of which "
          f"{len(documents.failed & arrived)} came all the same; "
          f"{summary['identities']['duplicates']} duplicates; slowest report "
          f"{documents.slowest_s:.2f} s; falsified accounts: {len(falsified)} noticed", flush=True)


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--rounds",), {"type": int, "default": 12}),
                                (("--seed",), {"type": int, "default": 1}))
    harness.main(options, lambda run: rounds(run, options.rounds, options.seed))
