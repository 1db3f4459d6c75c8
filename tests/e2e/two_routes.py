#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Kinesis and Firehose from one spool, 2 % of the records failing inside good replies.

Each of the two is out for a while, and the other goes on meanwhile as if nothing were. In the end
both have every line once, under the same identity.
"""
import json

import harness
from harness import check, wait_until

LINES = 2000  # in each of three parts: Firehose is out, Kinesis is out, neither
FAILING = ("--record-failure-rate", "0.02", "--id-member", "id")


class Side:
    """One destination with a sink of its own, and its route."""

    def __init__(self, run, destination):
        self.destination = destination
        self.sink = harness.Sink(run, *FAILING, name=destination)
        self.route = {"name": destination, "destination": destination,
                      "endpoint": self.sink.endpoint, "ca_file": str(self.sink.ca),
                      "batch": {"records": 100}}

    def summary(self):
        summary = self.sink.summary()
        return summary["firehose"] if self.destination == "firehose" else summary

    def arrived(self):
        return self.summary()["ids"]["unique"]

    def wait_for(self, count):
        wait_until(f"{count} lines in {self.destination}", lambda: self.arrived() >= count)

    def identities(self):
        """{identity: line} of all that was stored."""
        datas = self.sink.delivered() if self.destination == "firehose" else \
            (data for _, _, data in self.sink.records())
        records = [json.loads(data) for data in datas]
        found = {(record["device"], record["spool"], record["seq"]): record["data"]
                 for record in records}
        check(len(found) == len(records), f"{self.destination}: {len(records)} records, "
              f"{len(found)} identities")
        return found


def pour(run, agent, source, number):
    """Hands over another part of the lines."""
    part = harness.lines_file(run.folder / f"part{number}", LINES, start=number * LINES)
    lines = part.read_text(encoding="ascii")
    with source.open("a", encoding="ascii") as file:
        file.write(lines)
    check(agent.process.running(), f"the agent ended: {agent.tail()}")
    return [json.loads(line) for line in lines.splitlines()]


def check_out(agent, out, there, missing):
    """The route that is out says so and has its records; the other one owes nothing."""
    wait_until("the account of what was delivered",
               lambda: agent.counters(there.destination)["stored"] == 0)
    routes = agent.status()["routes"]
    check(routes[out.destination]["state"] != "connected", f"{out.destination} is not out: "
          f"{routes[out.destination]}")
    check(routes[there.destination]["state"] == "connected", f"{there.destination} suffers: "
          f"{routes[there.destination]}")
    delivered = agent.counters(out.destination)["delivered"]
    check(delivered == missing, f"{out.destination} is out: {delivered} delivered")


def scenario(run):
    kinesis, firehose = Side(run, "kinesis"), Side(run, "firehose")
    source = run.folder / "input"
    source.write_text("")
    agent = harness.Agent(run, None, sensors=[harness.lines_sensor(source)],
                          spool={"lanes": {"normal": {"age": "100ms"}}},
                          routes=[kinesis.route, firehose.route])
    expected = []
    agent.start()
    for number, (out, there) in enumerate(((firehose, kinesis), (kinesis, firehose))):
        out.sink.outage()
        expected += pour(run, agent, source, number)
        there.wait_for((number + 1) * LINES)
        check_out(agent, out, there, number * LINES)
        check(out.arrived() == number * LINES, f"{out.destination} is out and has more")
        out.sink.outage(0)
        out.wait_for((number + 1) * LINES)
    expected += pour(run, agent, source, 2)
    for side in (kinesis, firehose):
        side.wait_for(len(expected))
        wait_until("the account", lambda at=side: agent.counters(at.destination)["stored"] == 0)
        counters = agent.counters(side.destination)
        harness.check_identity(counters)
        check(counters["accepted"] == counters["delivered"] == len(expected), f"{counters}")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    check(kinesis.identities() == firehose.identities(), "the two have other records")
    lines = sorted(kinesis.identities().values(), key=lambda line: line["id"])
    check(lines == expected, "lines are missing or changed")
    for side in (kinesis, firehose):
        summary = side.sink.stop()
        check(summary["injected"]["records_failed"] > 0, f"nothing failed: {summary}")
        print(f"{side.destination}: {len(expected)} lines, {summary['requests']} requests, "
              f"{summary['injected']['records_failed']} records failed", flush=True)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
