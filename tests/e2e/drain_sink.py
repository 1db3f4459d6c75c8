#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
JSON lines from a file through `runnel run --drain` into the sink: Kinesis with 4 shards, or
Firehose, of which what it delivered counts, line by line.

  plain    every line exactly once, shards within 1 %
  failing  20 % of records fail inside good replies: nothing missing, nothing twice
  lost     5 % of replies are lost after storing: nothing missing, and twice only whole lost
           batches, under the identity that they had
"""
import json

import harness
from harness import check

CASES = {
    "plain": (),
    "failing": ("--record-failure-rate", "0.2"),
    "lost": ("--reset-after-rate", "0.03", "--cut-rate", "0.02"),
}
DESTINATIONS = {
    "kinesis": lambda sink: (data for _, _, data in sink.records()),
    "firehose": harness.Sink.delivered,
}


def check_records(arrived, source):
    """Every line of SOURCE ARRIVED as it was, each under one identity of its own."""
    lines = source.read_text().splitlines()
    identity_of, id_of = {}, {}
    for data in arrived:
        record = json.loads(data)
        number = record["data"]["id"]
        check(record["data"] == json.loads(lines[number]), f"line {number} was changed: {data}")
        identity = (record["device"], record["spool"], record["seq"])
        check(identity_of.setdefault(number, identity) == identity, f"{data}: a second identity")
        check(id_of.setdefault(identity, number) == number, f"{data}: a second line")
    missing = set(range(len(lines))) - set(identity_of)
    check(not missing, f"{len(missing)} lines are missing, such as {sorted(missing)[:5]}")


def check_counters(agent, count):
    """A fresh start tells of what the last run left."""
    agent.set_sensors([])
    agent.start()
    counters = agent.counters()
    harness.check_identity(counters)
    check(counters["accepted"] == counters["delivered"] == count, counters)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def check_delivered(summary, delivered, count):
    """What Firehose counted is what a reader of its objects finds."""
    lines = len(list(delivered))
    check(lines == summary["lines"] == summary["records"] >= count, f"{lines} lines: {summary}")
    check(summary["unterminated"] == 0, f"records without a newline: {summary}")


def drain(run, case, count, destination):
    faults = CASES[case]
    name = f"{destination}-{case}"
    sink = harness.Sink(run, "--shards", "4", "--id-member", "id", *faults, name=name)
    source = harness.lines_file(run.folder / f"{name}.jsonl", count)
    # Enough requests that 5 % of them are some, however few lines there are.
    route = {"batch": {"records": min(500, max(1, count // 200))}} if case == "lost" else {}
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=f"{name}-agent",
                          sensors=[harness.lines_sensor(source)],
                          routes=[{"destination": destination, **route}])
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    totals = sink.stop()
    summary = {**totals, **(totals["firehose"] if destination == "firehose" else {})}
    arrived = DESTINATIONS[destination]
    check_records(arrived(sink), source)
    if destination == "firehose":
        check_delivered(summary, arrived(sink), count)
    check_counters(agent, count)

    identities, lost = summary["identities"], summary["lost"]
    check(identities["unique"] == summary["ids"]["unique"] == count, summary)
    check(identities["unexplained"] == 0, f"duplicates without a lost reply: {summary}")
    if case == "lost":
        check(lost["batches"] > 0, "no reply was lost: too few requests")
        check(lost["whole"] == lost["batches"], f"lost batches that did not come whole: {lost}")
    else:
        check(identities["duplicates"] == 0, summary)
        if destination == "kinesis":
            harness.check_spread(summary["shards"])
    check((summary["injected"]["records_failed"] > count / 10) == (case == "failing"), summary)
    shards = f"shards {summary['shards']}, " if destination == "kinesis" else ""
    print(f"{name}: {count} lines, {summary['requests']} requests, {shards}"
          f"{summary['injected']['records_failed']} records failed, "
          f"{lost['batches']} replies lost, {identities['duplicates']} duplicates", flush=True)


if __name__ == "__main__":
    options = harness.arguments(
        __doc__, (("--lines",), {"type": int, "default": 20000}),
        (("--destination",), {"choices": list(DESTINATIONS), "default": "kinesis"}),
        (("cases",), {"nargs": "*", "default": list(CASES), "metavar": "CASE",
                      "type": harness.one_of(CASES)}))

    def scenario(run):
        for case in options.cases:
            drain(run, case, options.lines, options.destination)

    harness.main(options, scenario)
